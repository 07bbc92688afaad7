package upstreamproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// A Forwarding says how plain http requests are written on a connection to a proxy: in
// absolute form, with these credentials. It is for the one connection.
type Forwarding struct {
	Authorization string // Proxy-Authorization, or empty

	proxy *proxy
}

// Forward connects for plain http requests to host:port: to the proxy for it, or, with
// a nil Forwarding, to the host itself. The context is [Dialer.DialContext]'s.
func (d *Dialer) Forward(ctx context.Context, network, addr string) (net.Conn, *Forwarding, error) {
	p := d.choose("http", addr)
	if p == nil {
		conn, err := d.dial(ctx, network, addr)
		return conn, nil, err
	}
	conn, err := p.open(ctx, d.dial, "")
	if err != nil {
		return nil, nil, err
	}
	return conn, &Forwarding{Authorization: p.authorization(), proxy: p}, nil
}

// Refusal is the error of an answer to a plain http request that the proxy gave for
// itself: 407, of which our client knows nothing, for the credentials are ours. It is
// nil for every other answer: whether those are the host's nobody can tell.
func (f *Forwarding) Refusal(resp *http.Response, method, host string) error {
	if f == nil || resp.StatusCode != http.StatusProxyAuthRequired {
		return nil
	}
	return f.proxy.refused(answer{status: resp.Status, code: resp.StatusCode, header: resp.Header}, fmt.Sprintf("%s http://%s", method, host))
}
