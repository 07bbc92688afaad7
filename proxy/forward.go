package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/certproxy/certproxy/certs"
)

// serveForward answers a request on a listener that is a host for its clients.
func (p *Proxy) serveForward(w http.ResponseWriter, r *http.Request, authority string) {
	p.rest.stir()
	v := newVisit(r)
	v.authority = authority
	seenAs := r.Host
	p.serveRequest(w, r, &v, nil, func() (*upstream, *refusal) {
		if refused := forOurselves(r, authority); refused != nil {
			return nil, refused
		}
		host, ok := p.config.Index.Lookup(authority)
		if !ok || host.Action == certs.Tunnel {
			return nil, &refusal{status: http.StatusBadGateway, kind: "proxy_configuration_error",
				text: authority + ", which this listener forwards to, has no directory under certs.d",
				hint: "make one with a pair for it; the reason why one was not used is in certproxy list"}
		}
		r.Host = strings.TrimSuffix(authority, ":443")
		return p.listed(r, &v, host)
	}, func(x *exchange) { x.seenAs = "http://" + seenAs })
}

// forOurselves refuses what a page in a browser on this machine may send here without
// its user's will: the identities are not for every site that somebody looks at. Its
// own script can reach a listener by a name that it lets resolve to this machine (DNS
// rebinding), and any page can send simple requests.
func forOurselves(r *http.Request, authority string) *refusal {
	no := func(text, hint string) *refusal {
		return &refusal{status: http.StatusMisdirectedRequest, kind: "http_request_denied", text: text, hint: hint}
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		return no("a page of another site sent this request", "use a tool, or open the address yourself")
	}
	for _, origin := range r.Header["Origin"] {
		if !isOwnOrigin(origin, r.Host, authority) {
			return no("a page of another site sent this request: its Origin is "+printable(origin, 100), "use a tool, or open the address yourself")
		}
	}
	if r.URL.Host != "" || r.URL.Scheme != "" {
		return no("an absolute URL on a listener that is one host", "send the path alone, or use a proxy listener")
	}
	if r.Method == http.MethodConnect {
		return &refusal{status: http.StatusMethodNotAllowed, kind: "http_request_error", close: true,
			text: "CONNECT on a listener that is one host", hint: "use it as a server, or name a proxy listener in HTTPS_PROXY"}
	}
	if r.Host == "" || sameAuthority(r.Host, authority, true) || isOwnName(r) {
		return nil
	}
	return no("the request's Host "+printable(r.Host, 100)+" is neither this listener nor "+authority,
		"ask by the listener's address, by localhost, or by "+hostName(authority))
}

// isOwnOrigin reports whether an Origin (RFC 6454) is this listener's own, under the name
// by which it was asked, or the host's. Of a page that opens a WebSocket, Chromium sends it and no
// Sec-Fetch-Site, and lets the page read what comes.
func isOwnOrigin(origin, listener, authority string) bool {
	if name, ok := cutPrefixFold(origin, "http://"); ok {
		return strings.EqualFold(name, listener)
	}
	name, ok := cutPrefixFold(origin, "https://") // the listener's own where it speaks TLS
	return ok && (strings.EqualFold(name, listener) || sameAuthority(name, authority, false))
}

// isOwnName reports whether the Host of a request is an address, or localhost: no page
// can make those its own.
func isOwnName(r *http.Request) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// relocate makes the places that an answer names reachable for a client that knows the
// host under another origin: registries tell where an upload goes on by an absolute URL.
func relocate(h http.Header, authority, seenAs string) {
	for _, field := range []string{"Location", "Content-Location"} {
		for i, place := range h[field] {
			rest, ok := cutPrefixFold(place, "https://")
			if !ok {
				continue
			}
			host, path := rest, ""
			if end := strings.IndexAny(rest, "/?#"); end >= 0 {
				host, path = rest[:end], rest[end:]
			}
			if sameAuthority(host, authority, false) {
				h[field] = append([]string(nil), h[field]...)
				h[field][i] = seenAs + path
			}
		}
	}
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
