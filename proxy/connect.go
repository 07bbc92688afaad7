package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/http1"
)

// newServer returns a server of HTTP/1.
func (p *Proxy) newServer(handler http.HandlerFunc, maxHeader int) *http1.Server {
	return &http1.Server{
		Handler:       handler,
		HeaderTimeout: p.config.HeaderTimeout,
		IdleTimeout:   p.config.IdleTimeout,
		MaxHeader:     maxHeader,
		Refuse: func(w io.Writer, why *http1.Malformed) {
			p.log.Warn("request refused", zap.Int("status", why.Status), zap.String("reason", why.Reason), zap.String("hint", why.Hint))
			_ = malformedRefusal(why).writeTo(w, &http.Request{})
		},
		Panicked: func(v any) { p.caught(v, "") },
		Retried: func(err error) {
			p.log.Error("a connection cannot be accepted", zap.String("reason", err.Error()), zap.String("hint", acceptHint(err)))
		},
	}
}

const (
	// maxConnectHeader bounds the header of what is said to the proxy itself.
	maxConnectHeader = 64 << 10
	// maxRequestHeader bounds that of what goes to a host: as net/http has it.
	maxRequestHeader = 1 << 20
)

func acceptHint(err error) string {
	if errors.Is(err, syscall.EMFILE) {
		return "raise the limit of open files (LimitNOFILE in the unit, or ulimit -n)"
	}
	return "see what the machine has run out of"
}

// serveOuter is the first look at a request: CONNECT goes on, anything else is not
// served here and says so.
func (p *Proxy) serveOuter(w http.ResponseWriter, r *http.Request) {
	p.rest.stir()
	if r.Method != http.MethodConnect {
		p.refuseNonProxy(w, r)
		return
	}
	c := &connect{proxy: p, client: r.RemoteAddr, began: time.Now(), writer: &stashWriter{ResponseWriter: w}}
	if refused := c.admit(r); refused != nil {
		c.refuse(r, refused)
		return
	}
	r.URL.Host, r.Host = c.authority, c.authority
	p.door.ServeHTTP(c.writer, r.WithContext(context.WithValue(r.Context(), connectKey{}, c)))
}

// A connect is one CONNECT and what became of it.
type connect struct {
	proxy     *Proxy
	client    string // address
	authority string // canonical
	action    certs.Action
	began     time.Time
	writer    *stashWriter // until the connection is taken over; nil then, for it holds all of net/http's
}

// admit parses the authority and decides what to do with it. The raw request
// target is what counts: a Host header beside it says nothing.
func (c *connect) admit(r *http.Request) *refusal {
	authority, err := certs.ParseAuthority(r.RequestURI)
	if err != nil {
		c.authority = printable(r.RequestURI, 100)
		return &refusal{status: http.StatusBadRequest, kind: "http_request_error",
			text: "CONNECT " + err.Error(), hint: "send CONNECT host:port"}
	}
	c.authority = authority
	host, listed := c.proxy.config.Index.Lookup(authority)
	switch {
	case !listed && c.proxy.config.RefuseUnlisted:
		return &refusal{status: http.StatusForbidden, kind: "http_request_denied",
			text: authority + " has no directory under certs.d, and this proxy serves listed hosts only",
			hint: "make one for it, or start certproxy with --unlisted tunnel"}
	case !listed:
		c.action = certs.Tunnel
	default:
		c.action = host.Action
	}
	if c.action == certs.Unusable {
		return unusableRefusal(host)
	}
	if c.action == certs.Intercept {
		// Minted before the client is told yes, so that it hears of a failure.
		if _, err := c.proxy.config.Leaves.Leaf(hostName(authority)); err != nil {
			return leafRefusal(authority, err)
		}
	}
	return nil
}

// refuse answers the CONNECT. The reason goes into the status line too: it is all
// that many clients show of a refused CONNECT, docker pull among them.
func (c *connect) refuse(r *http.Request, refused *refusal) {
	c.proxy.log.Warn("connect refused", zap.String("client", c.client), zap.String("host", c.authority),
		zap.Int("status", refused.status), zap.String("reason", refused.text), zap.String("hint", refused.hint))
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

// refuseNonProxy answers requests that are no CONNECT.
func (p *Proxy) refuseNonProxy(w http.ResponseWriter, r *http.Request) {
	refused := &refusal{status: http.StatusBadRequest, kind: "http_request_error",
		text: "this is a proxy, not a web server",
		hint: "set HTTPS_PROXY=http://" + r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() + " for the client"}
	if r.URL.IsAbs() {
		refused = &refusal{status: http.StatusNotImplemented, kind: "http_request_error",
			text: "certproxy serves HTTPS through CONNECT, and this request was sent to it in plain text",
			hint: "set HTTPS_PROXY only, not HTTP_PROXY, and use an https URL"}
	}
	p.log.Warn("request refused", zap.String("client", r.RemoteAddr), zap.String("method", r.Method),
		zap.Int("status", refused.status), zap.String("reason", refused.text))
	refused.serve(w, r)
}
