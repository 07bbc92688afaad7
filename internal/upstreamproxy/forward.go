package upstreamproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// ProxyFunc is for [http.Transport.Proxy]: which proxy plain http requests are sent to,
// in absolute form and with its credentials, which the transport adds. The URL it
// returns carries them. See [Dialer.SetUp] for the rest that a transport needs.
func (d *Dialer) ProxyFunc() func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		p := d.choose(r.URL.Scheme, r.URL.Host)
		if p == nil {
			return nil, nil
		}
		u := *p.url
		return &u, nil
	}
}

// SetUp sets those fields of a transport that decide where plain http requests go:
// Proxy, DialContext and DialTLSContext. [Dialer.DialContext] would be wrong there, for
// the transport dials the proxy with it, and it would ask one proxy for a tunnel to the
// other. Connecting may take as long as given, in which TLS with an https proxy is
// included; zero sets no bound.
//
// The transport is not for https URLs.
func (d *Dialer) SetUp(t *http.Transport, within time.Duration) {
	t.Proxy = d.ProxyFunc()
	t.DialContext = d.forwarding("http", within)
	// The transport takes this one for https proxies. It is set, so that their
	// certificates are judged in one way.
	t.DialTLSContext = d.forwarding("https", within)
}

// forwarding dials the proxy for plain requests, if it has the scheme, and everything
// else directly: a transport does not say which of the two it dials.
func (d *Dialer) forwarding(scheme string, within time.Duration) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, within)
			defer cancel()
		}
		if d.http != nil && d.http.url.Scheme == scheme && d.http.addr() == addr {
			return d.http.open(ctx, d.dial, "")
		}
		return d.dial(ctx, network, addr)
	}
}

// Refusal is the error of an answer to a plain http request that the proxy gave for
// itself: 407, of which our client knows nothing, for the credentials are ours. It is
// nil for every other answer: whether those are the host's nobody can tell.
func (d *Dialer) Refusal(resp *http.Response) error {
	if resp.StatusCode != http.StatusProxyAuthRequired {
		return nil
	}
	p := d.choose("http", resp.Request.URL.Host)
	if p == nil {
		return nil
	}
	request := fmt.Sprintf("%s http://%s", resp.Request.Method, resp.Request.URL.Host)
	return p.refused(answer{status: resp.Status, code: resp.StatusCode, header: resp.Header}, request)
}
