package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/elazarl/goproxy"
	"go.uber.org/zap"
)

// newDoor returns goproxy set up as the front door and nothing else: it parses
// CONNECT and hands it over. Each of its defaults that would do more is turned off;
// contract tests hold every line of this function.
//
// Its own tunnel is not used: that runs in goroutines nobody waits for, so its end
// could be neither logged nor drained.
func newDoor(p *Proxy) *goproxy.ProxyHttpServer {
	door := goproxy.NewProxyHttpServer()
	door.Verbose = false
	door.Logger = zap.NewStdLog(p.log.Named("goproxy")) // warnings alone, as Verbose is off
	door.CertStore = nil                                // it must never mint: its leaf keys can be predicted
	door.AllowHTTP2 = false
	door.KeepHeader = false
	// The environment's HTTPS_PROXY may be this very proxy.
	door.ConnectDial = nil
	door.ConnectDialWithReq = func(r *http.Request, _, addr string) (net.Conn, error) {
		return p.dialer.connect(r.Context(), addr, p.config.Host(addr).ConnectTimeout)
	}
	door.Tr = &http.Transport{
		Proxy: nil,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("goproxy's own transport is not used")
		},
	}
	door.ConnectionErrHandler = func(conn io.Writer, ctx *goproxy.ProxyCtx, err error) {
		_ = dialRefusal(ctx.Req.RequestURI, err).writeTo(conn, ctx.Req)
	}
	door.NonproxyHandler = http.HandlerFunc(p.refuseNonProxy)
	door.OnRequest().HandleConnectFunc(func(authority string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		conn := connectFrom(ctx.Req.Context())
		if conn == nil { // the last handler: whatever did not come through serveConnect
			ctx.Resp = internalRefusal().response(ctx.Req)
			return &goproxy.ConnectAction{Action: goproxy.ConnectReject}, authority
		}
		return &goproxy.ConnectAction{Action: goproxy.ConnectHijack, Hijack: func(r *http.Request, c net.Conn, _ *goproxy.ProxyCtx) {
			conn.hijacked(r, c)
		}}, authority
	})
	return door
}

type connectKey struct{}

func connectFrom(ctx context.Context) *connect {
	c, _ := ctx.Value(connectKey{}).(*connect)
	return c
}

// A stashWriter remembers the reader that http.Server has buffered: goproxy drops
// it when it hands a connection over, and with it what a client sent right behind
// its CONNECT. The connection itself stays bare, so that it can be spliced.
type stashWriter struct {
	http.ResponseWriter
	early *bufio.Reader
}

func (w *stashWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.early = rw.Reader
	}
	return c, rw, err
}

// takeEarly returns what the client sent behind its CONNECT, and lets go of all that
// the server has kept for the connection.
func (c *connect) takeEarly() []byte {
	br := c.writer.early
	c.writer = nil
	if br == nil || br.Buffered() == 0 {
		return nil
	}
	b, _ := br.Peek(br.Buffered()) // cannot fail: it is buffered
	return bytes.Clone(b)
}
