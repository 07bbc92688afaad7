// Package upstreamproxy answers one question for each destination: through which
// proxy of the site is it reached, if through any? And it reaches it.
//
// Which one is decided by exactly the rules of golang.org/x/net/http/httpproxy, those
// of Go programs:
//
//   - HTTPS_PROXY is for what is tunnelled and intercepted, whatever its port, HTTP_PROXY
//     for plain http requests; in lower case they come first. One URL from the
//     configuration replaces both.
//   - NO_PROXY names destinations that are reached directly, in either case. An address
//     or a network in it is compared with addresses that clients ask for, not with what
//     a name resolves to.
//   - localhost, 127.0.0.0/8 and ::1 are always reached directly.
//   - ALL_PROXY is not read, nor is it by httpproxy.
//
// One thing is stricter: httpproxy takes a URL that it cannot read for no proxy at all,
// and here it is an error, since a site that has a proxy wants nothing to go around it.
//
// Credentials of a proxy are in no error and in no text about it.
package upstreamproxy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Direct in place of a URL means no proxy, whatever the environment says.
const Direct = "direct"

// Setting is what the configuration calls [Config.URL].
const Setting = "upstream_proxy"

// A DialFunc connects, as [net.Dialer.DialContext] does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Config is what a [Dialer] needs.
type Config struct {
	// URL is upstream_proxy of the configuration: the proxy for all destinations but
	// those of NO_PROXY, [Direct] for none, empty to leave it to the environment.
	URL string

	// Getenv looks up the environment, as [os.Getenv] does; nil means that it is empty.
	Getenv func(name string) string

	// Dial connects to proxies, and to what is reached directly. Required. It must
	// refuse our own listeners, for HTTPS_PROXY may well name certproxy itself: its
	// error comes out wrapped, see [Error].
	Dial DialFunc

	// Via is sent with each CONNECT, so that a request which comes back is recognised
	// (RFC 9110 section 7.6.3); empty sends none.
	Via string

	RootCAs *x509.CertPool // for the certificates of https proxies; nil means the system's
}

// A Dialer connects to destinations, through a proxy where there is one for them. It
// is safe for concurrent use.
type Dialer struct {
	dial    DialFunc
	https   *proxy // for tunnels and interceptions; nil for none
	http    *proxy // for plain http requests; nil for none
	proxied func(*url.URL) (*url.URL, error)
}

// New returns a dialer, or an [Error] of kind [ErrInvalid].
func New(config Config) (*Dialer, error) {
	if config.Dial == nil {
		return nil, errors.New("upstreamproxy: Dial is required")
	}
	env := environment{config.Getenv}
	d := &Dialer{dial: config.Dial}
	var err error
	switch strings.ToLower(config.URL) {
	case Direct:
		return d, nil
	case "":
		if d.https, err = env.proxy("HTTPS_PROXY"); err != nil {
			return nil, err
		}
		if d.http, err = env.proxy("HTTP_PROXY"); err != nil {
			return nil, err
		}
	default:
		if d.https, err = parse(Setting, config.URL); err != nil {
			return nil, err
		}
		d.http = d.https
	}
	for _, p := range []*proxy{d.https, d.http} {
		if p != nil {
			p.roots, p.via = config.RootCAs, config.Via
		}
	}
	// httpproxy is asked whether, not which: it ignores URLs that it cannot read.
	const some = "http://proxy"
	_, noProxy := env.first("NO_PROXY")
	d.proxied = (&httpproxy.Config{HTTPProxy: some, HTTPSProxy: some, NoProxy: noProxy}).ProxyFunc()
	return d, nil
}

// DialContext connects to host:port: through a CONNECT tunnel where a proxy is set for
// it, otherwise directly. The network is "tcp". What a direct connection is, the one
// through an http proxy is too, for no byte behind the answer's header is read: a bare
// *net.TCPConn, which the kernel can splice. Through an https proxy it is a *tls.Conn.
//
// The end of the context ends the attempt at once, and means nothing to a connection
// that was returned. Nothing else bounds the wait.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	p := d.choose("https", addr)
	if p == nil {
		return d.dial(ctx, network, addr)
	}
	if !isHostPort(addr) {
		return nil, fmt.Errorf("%.100q is not of the form host:port", addr)
	}
	return p.open(ctx, d.dial, addr)
}

// isHostPort guards the request line of CONNECT. net/http would leave an impossible
// host out of it and send the rest.
func isHostPort(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && host != "" && port != "" &&
		!strings.ContainsFunc(addr, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\?#@`, r) })
}

// choose returns the proxy for a destination, or nil for none.
func (d *Dialer) choose(scheme, host string) *proxy {
	p := d.https
	if scheme == "http" {
		p = d.http
	}
	if p == nil {
		return nil
	}
	if u, _ := d.proxied(&url.URL{Scheme: scheme, Host: host}); u == nil { // fails for CGI programs only
		return nil
	}
	return p
}

// Via describes the proxy through which host:port is reached, without what must stay
// secret; "" is none.
func (d *Dialer) Via(addr string) string {
	if p := d.choose("https", addr); p != nil {
		return p.String()
	}
	return ""
}

// String describes what was set, for logs.
func (d *Dialer) String() string {
	switch {
	case d.https == nil && d.http == nil:
		return "direct"
	case d.https == d.http:
		return d.https.String()
	}
	return "https: " + d.https.String() + ", http: " + d.http.String()
}
