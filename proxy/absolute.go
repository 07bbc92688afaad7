package proxy

import (
	"net"
	"net/http"
	"strings"

	"github.com/certproxy/certproxy/certs"
)

// serveAbsolute answers a request with an absolute URL (RFC 9112 section 3.2.2), as
// clients send it that know HTTP_PROXY only. For a listed host, http means https with a
// pair, and port 80 is 443: that is what the directory says of the host. Any other
// request is carried as it is.
func (p *Proxy) serveAbsolute(w http.ResponseWriter, r *http.Request) {
	v := newVisit(r)
	p.serveRequest(w, r, &v, nil, func() (*upstream, *refusal) {
		scheme, secure, plain, refused := absoluteTarget(r)
		v.authority = plain
		if refused != nil {
			return nil, refused
		}
		host, listed := p.config.Index.Lookup(secure)
		if listed && host.Action != certs.Tunnel {
			v.authority = secure
			r.Host = strings.TrimSuffix(secure, ":443")
			originForm(r)
			return p.listed(r, &v, host)
		}
		if refused := v.may(r.Context(), UseTunnel); refused != nil {
			return nil, refused
		}
		if !listed && p.config.RefuseUnlisted() {
			return nil, unlistedRefusal(plain)
		}
		originForm(r)
		return p.upstreams.unlisted(origin{scheme, plain, v.isOther()}), nil
	})
}

// absoluteTarget parses the host of an absolute URL: as it would be listed, and as it
// was asked for.
func absoluteTarget(r *http.Request) (scheme, secure, plain string, refused *refusal) {
	bad := func(why, hint string) (string, string, string, *refusal) {
		return "", "", printable(r.URL.Host, 100), &refusal{status: http.StatusBadRequest, kind: "http_request_error", text: why, hint: hint}
	}
	scheme = strings.ToLower(r.URL.Scheme)
	if scheme != "http" && scheme != "https" {
		return bad("a URL of a scheme that is not carried: "+printable(scheme, 20), "use http or https")
	}
	if r.URL.User != nil {
		return bad("a URL with a user name", "send credentials in Authorization")
	}
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	host := r.URL.Host
	if _, _, err := net.SplitHostPort(host); err != nil {
		host += ":" + port
	}
	plain, err := certs.ParseAuthority(host)
	if err != nil {
		return bad("the URL's "+err.Error(), "send http://host:port/path")
	}
	secure = plain
	if name, ok := strings.CutSuffix(plain, ":80"); ok && scheme == "http" {
		secure = name + ":443"
	}
	return scheme, secure, plain, nil
}

// originForm makes the target of a request the path and query alone, as they were sent.
func originForm(r *http.Request) {
	_, rest, _ := strings.Cut(r.RequestURI, "://")
	path := "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		path = rest[i:]
	}
	switch {
	case path == "/" && r.Method == http.MethodOptions && !strings.HasSuffix(rest, "/"):
		path = "*" // RFC 9112 section 3.2.4
	case path[0] == '?':
		path = "/" + path
	}
	r.RequestURI = path
	if r.URL.Path == "" {
		r.URL.Path = "/"
	}
}
