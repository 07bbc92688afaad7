package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
)

// serveOuter serves what is said to the proxy itself.
func (p *Proxy) serveOuter(w http.ResponseWriter, r *http.Request) {
	p.rest.stir()
	switch {
	case r.Method == http.MethodConnect:
		p.serveConnect(w, r)
	case r.URL.IsAbs():
		p.serveAbsolute(w, r)
	case r.RequestURI == pingPath:
		servePing(w)
	default:
		p.refuseNonProxy(w, r)
	}
}

// serveConnect has a first look at a CONNECT, and hands it to goproxy.
func (p *Proxy) serveConnect(w http.ResponseWriter, r *http.Request) {
	c := &connect{visit: newVisit(r), proxy: p, began: time.Now(), writer: &stashWriter{ResponseWriter: w}}
	if refused := c.admit(r); refused != nil {
		c.refuse(r, refused)
		return
	}
	r.URL.Host, r.Host = c.authority, c.authority
	p.beginnings.add(1)
	p.door.ServeHTTP(c.writer, r.WithContext(context.WithValue(r.Context(), connectKey{}, c)))
	if !c.intercepted {
		c.settle()
	}
}

// A connect is one CONNECT and what became of it.
type connect struct {
	visit
	proxy  *Proxy
	action certs.Action
	began  time.Time
	writer *stashWriter // until the connection is taken over; nil then, for it holds all of net/http's

	intercepted bool      // an inner server has the connection
	settled     sync.Once // see settle
}

// admit parses the authority and decides what to do with it. The raw request
// target is what counts: a Host header beside it says nothing.
func (c *connect) admit(r *http.Request) *refusal {
	authority, err := certs.ParseAuthority(r.RequestURI)
	if err != nil {
		c.authority = printable(certs.WithoutSecrets(r.RequestURI), 100)
		return &refusal{status: http.StatusBadRequest, kind: "http_request_error",
			text: "CONNECT " + err.Error(), hint: "send CONNECT host:port"}
	}
	c.authority = authority
	if refused := c.proxy.loops(r); refused != nil {
		return refused
	}
	host, listed := c.proxy.config.Index.Lookup(authority)
	c.action = certs.Tunnel
	if listed {
		c.action = host.Action
	}
	if c.action == certs.Tunnel {
		if refused := c.may(r.Context(), UseTunnel); refused != nil {
			return refused
		}
		if !listed && c.proxy.config.RefuseUnlisted() {
			return unlistedRefusal(authority)
		}
		return nil
	}
	if refused := c.may(r.Context(), UseIdentity); refused != nil {
		return refused
	}
	if c.action == certs.Unusable {
		return unusableRefusal(host)
	}
	// Minted before the client is told yes, so that it hears of a failure.
	if _, err := c.proxy.config.Leaves.Leaf(hostName(authority)); err != nil {
		return leafRefusal(authority, err)
	}
	return nil
}

// refuse answers the CONNECT. The reason goes into the status line too: it is all
// that many clients show of a refused CONNECT, docker pull among them.
func (c *connect) refuse(r *http.Request, refused *refusal) {
	c.proxy.log.Warn("connect refused", append(c.who(),
		zap.Int("status", refused.status), zap.String("reason", refused.text), zap.String("hint", refused.hint))...)
	c.proxy.refusedEarly(&c.visit, r.Method, "", c.began, refused)
	conn, _, err := c.writer.Hijack()
	if err != nil {
		http.Error(c.writer, refused.text, refused.status)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(c.proxy.config.HeaderTimeout))
	_ = refused.writeTo(conn, r)
	lingeringClose(conn)
}

// lingeringClose lets an answer reach a client that is still sending: closing with
// unread bytes would reset the connection and take the answer with it.
func lingeringClose(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, conn, 256<<10)
}

// hijacked takes the connection over from goproxy, on the goroutine of its CONNECT.
// A panic would leave the socket open for ever, so it is caught and the socket closed.
func (c *connect) hijacked(r *http.Request, conn net.Conn) {
	p := c.proxy
	// http.Server cancels the request when it has seen the client's end of file, but
	// a client may half-close right behind its CONNECT and still want the answer.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if !p.conns.add(conn) {
		_ = conn.Close()
		return
	}
	kept, moved := false, false
	defer func() {
		p.caught(recover(), c.authority)
		if !kept {
			_ = conn.Close()
		}
		if !moved {
			p.conns.remove(conn)
		}
	}()
	if c.action == certs.Intercept {
		kept = p.intercept(c, conn)
		c.intercepted = kept
		return
	}
	moved = p.tunnel(r, c, conn)
	kept = moved
}

// caught logs a panic. It is given what recover returned.
func (p *Proxy) caught(v any, authority string) {
	if v != nil {
		p.log.Error("panic while serving a connection", zap.Any("panic", v), zap.String("host", authority), zap.Stack("stack"))
	}
}

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// refuseNonProxy answers requests that are for a web server.
func (p *Proxy) refuseNonProxy(w http.ResponseWriter, r *http.Request) {
	refused := &refusal{status: http.StatusBadRequest, kind: "http_request_error",
		text: "this is a proxy, not a web server", hint: "name it in the client's HTTPS_PROXY"}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		refused.hint = "set HTTPS_PROXY=http://" + local.String() + " for the client"
	}
	v := newVisit(r)
	p.log.Warn("request refused", append(v.who(), zap.String("method", r.Method),
		zap.Int("status", refused.status), zap.String("reason", refused.text))...)
	p.refusedEarly(&v, r.Method, printable(r.URL.EscapedPath(), 500), time.Now(), refused)
	refused.serve(w, r)
}
