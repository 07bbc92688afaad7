package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/strength"
)

// intercept terminates the client's TLS with a leaf for the host and hands the
// connection to the inner server of its protocol. It reports whether that owns it now.
func (p *Proxy) intercept(c *connect, conn net.Conn) bool {
	began := time.Now()
	_ = conn.SetDeadline(began.Add(p.config.HandshakeTimeout))
	if _, err := io.WriteString(conn, established); err != nil {
		return false
	}
	inner := &interceptedConn{wire: newWire(conn, c.takeEarly(), p.dialer.buffers), connect: c}
	secured := tls.Server(inner, p.clientTLS)
	err := secured.Handshake()
	p.config.shookHands(ToClient, c.authority, began, err)
	if err != nil {
		p.log.Warn("client handshake failed", append(c.who(),
			zap.String("reason", printable(err.Error(), 200)), zap.String("hint", handshakeHint(err)))...)
		return false
	}
	_ = conn.SetDeadline(time.Time{})
	if secured.ConnectionState().NegotiatedProtocol == "h2" {
		return p.inner.give(secured)
	}
	return p.inner1.Go(context.WithValue(context.Background(), interceptKey{}, inner), secured)
}

// newClientTLS is the server side's configuration for every CONNECT. The leaf is the
// one for the CONNECT's host, whatever name the ClientHello asks for: a client that
// asks for another host refuses it, or is answered 421.
func newClientTLS(leaves Leaves) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: strength.CipherSuites(),
		NextProtos:   []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return leaves.Leaf(hostName(hello.Conn.(*interceptedConn).connect.authority))
		},
		// A session made for one host must not be resumed for another.
		SessionTicketsDisabled: true,
		// Small records first serve slow links; clients are on this machine.
		DynamicRecordSizingDisabled: true,
	}
}

// handshakeHint says what a failed handshake with a client most likely means.
func handshakeHint(err error) string {
	var notTLS tls.RecordHeaderError
	switch code, alert := remoteAlert(err); {
	case alert && (code == 42 || code == 46 || code == 48): // bad_certificate, certificate_unknown, unknown_ca
		return "the client does not trust the local CA: give it ca.crt of the state directory (certproxy ca show)"
	case alert:
		return "the client refused: " + err.Error()
	case errors.As(err, &notTLS):
		return "the client did not speak TLS inside CONNECT: use an https URL"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the client did not finish its handshake in time"
	default:
		return "the client ended the connection; one that does not trust the local CA may do so without a word"
	}
}

// An interceptedConn carries its CONNECT to the inner server's requests.
type interceptedConn struct {
	*wire
	connect *connect
	http2   http2Watch // where it speaks HTTP/2
}

// Close implements net.Conn.
func (c *interceptedConn) Close() error {
	c.connect.settle()
	return c.wire.Close()
}

type interceptKey struct{}

// newHTTP2Server returns the server of the terminated connections that speak HTTP/2.
func (p *Proxy) newHTTP2Server() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(p.serveInner),
		ReadHeaderTimeout: p.config.HeaderTimeout,
		IdleTimeout:       p.config.IdleTimeout,
		// OPTIONS * is for the host to answer.
		DisableGeneralOptionsHandler: true,

		ErrorLog: zap.NewStdLog(p.log.Named("http")),
		ConnState: func(conn net.Conn, state http.ConnState) {
			inner := interceptedBelow(conn)
			if inner == nil {
				return
			}
			switch state {
			case http.StateNew:
				p.live.http2.Add(1)
				p.watchHTTP2(inner)
			case http.StateClosed, http.StateHijacked:
				p.live.http2.Add(-1)
				inner.http2.stop()
			case http.StateActive, http.StateIdle:
				inner.http2.open.Store(state == http.StateActive)
			}
		},
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			inner := interceptedBelow(conn)
			if inner == nil {
				return ctx
			}
			return context.WithValue(ctx, interceptKey{}, inner)
		},
	}
}

// interceptedBelow returns the connection below TLS, or nil.
func interceptedBelow(conn net.Conn) *interceptedConn {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	inner, _ := secured.NetConn().(*interceptedConn)
	return inner
}

// sameHost checks that a request inside an intercepted connection is for the host
// of its CONNECT, under every name it gives: Host or :authority, SNI, and the
// target. One connection has one identity.
func sameHost(c *connect, r *http.Request) *refusal {
	misdirected := func(what, name string) *refusal {
		return &refusal{status: http.StatusMisdirectedRequest, kind: "http_request_denied",
			text: "the CONNECT was for " + c.authority + ", and the request's " + what + " is " + printable(name, 100),
			hint: "open a connection of its own for each host"}
	}
	switch {
	case r.Method == http.MethodConnect:
		return &refusal{status: http.StatusMethodNotAllowed, kind: "http_request_error", close: true,
			text: "CONNECT inside an intercepted connection", hint: "send CONNECT to the proxy itself"}
	case r.URL.Host != "" || r.URL.Scheme != "":
		return &refusal{status: http.StatusBadRequest, kind: "http_request_error",
			text: "an absolute URL inside an intercepted connection", hint: "send the path alone (origin-form, RFC 9112 section 3.2.1)"}
	case r.TLS != nil && r.TLS.ServerName != "" && !sameAuthority(r.TLS.ServerName, c.authority, true):
		return misdirected("TLS server name", r.TLS.ServerName)
	case r.Host == "" && !r.ProtoAtLeast(1, 1):
		return nil // HTTP/1.0 has no Host
	case !sameAuthority(r.Host, c.authority, false):
		return misdirected("Host", r.Host)
	}
	return nil
}

// sameAuthority reports whether a name the client gave means the authority. A name
// without port means port 443 of https, or any port where it is a server name.
func sameAuthority(given, authority string, anyPort bool) bool {
	if rest, ok := strings.CutPrefix(authority, given); ok && (rest == "" || rest == ":443" || anyPort && rest[0] == ':') {
		return true
	}
	_, port, err := net.SplitHostPort(authority)
	if err != nil {
		return false
	}
	if _, _, err := net.SplitHostPort(given); err != nil {
		if !anyPort {
			port = "443"
		}
		given = net.JoinHostPort(strings.Trim(given, "[]"), port)
	}
	canonical, err := certs.ParseAuthority(given)
	return err == nil && canonical == authority
}

// isH2C reports whether a request asks to go on in HTTP/2 without TLS's
// negotiation, which would carry everything after it past the checks of requests.
func isH2C(h http.Header) bool {
	for _, v := range h.Values("Upgrade") {
		for proto := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(proto), "h2c") {
				return true
			}
		}
	}
	return h.Get("HTTP2-Settings") != ""
}

func h2cRefusal() *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "http_request_error",
		text: "Upgrade: h2c is not passed on", hint: "negotiate HTTP/2 by ALPN, or stay with HTTP/1.1"}
}

// goneRefusal answers for a host whose directory went away under a connection that is
// still intercepted: the client's next CONNECT will be tunnelled.
func goneRefusal(c *connect) *refusal {
	return &refusal{status: http.StatusMisdirectedRequest, kind: "proxy_configuration_error", close: true,
		text: c.authority + " has no directory under certs.d any more",
		hint: "connect again: the next connection is tunnelled"}
}
