package upstreamproxy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/certproxy/certproxy/internal/strength"
)

// open connects to the proxy, and through it to host; without a host it leaves the
// connection to the proxy as it is.
func (p *proxy) open(ctx context.Context, dial DialFunc, host string) (net.Conn, error) {
	raw, err := dial(ctx, "tcp", p.addr())
	if err != nil {
		return nil, p.failed(ErrUnreachable, host, err)
	}
	// Closing ends whatever waits on the connection. No deadline is set that could be
	// left behind.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, step, err := p.speak(raw, host)
	if !stop() { // closed, or about to be
		err = ended(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, p.failed(step, host, err)
	}
	return conn, nil
}

// speak does what comes once the connection stands. The kind is that of the step
// reached, should it fail.
func (p *proxy) speak(raw net.Conn, host string) (net.Conn, Kind, error) {
	conn := raw
	if p.url.Scheme == "https" {
		secure := tls.Client(raw, &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: p.roots, ServerName: p.url.Hostname(), NextProtos: []string{"http/1.1"},
			VerifyConnection: strength.Peer,
		})
		if err := secure.Handshake(); err != nil { // open closes raw when the context ends
			return nil, ErrHandshake, err
		}
		conn = secure
	}
	if host == "" {
		return conn, ErrUnreachable, nil
	}
	return conn, ErrNoAnswer, p.connect(conn, host)
}

// connect asks the proxy for a tunnel to host, and reads its answer up to the byte
// before the tunnel's first.
func (p *proxy) connect(conn net.Conn, host string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Host: host}, Host: host, Header: http.Header{"User-Agent": {"certproxy"}}}
	if credentials := p.authorization(); credentials != "" {
		req.Header.Set("Proxy-Authorization", credentials)
	}
	if p.via != "" {
		req.Header.Set("Via", p.via)
	}
	if err := req.Write(conn); err != nil {
		return err
	}
	answer, err := readAnswer(conn)
	if err != nil {
		return err
	}
	if answer.code/100 != 2 {
		return p.refused(answer, "CONNECT "+host)
	}
	return nil
}

// authorization is the Proxy-Authorization for the proxy, or empty.
func (p *proxy) authorization() string {
	if p.url.User == nil {
		return ""
	}
	password, _ := p.url.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.url.User.Username()+":"+password))
}

// ended is why a context has ended: the error that everybody knows, and the cause that
// its owner gave.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) {
		return cause
	}
	return fmt.Errorf("%w (%w)", ctx.Err(), cause)
}
