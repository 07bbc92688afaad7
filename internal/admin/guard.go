package admin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// How long an answer may take to be written: a client that does not read must not hold
// anything for longer. A profile runs for as long as it is asked to, a minute at most.
const (
	answerWithin   = 20 * time.Second
	longestProfile = time.Minute
)

// guarded refuses what no reader of this page sends by himself, and forbids the browser
// all that the page does not need.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		within := answerWithin
		if strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
			within += longestProfile
			ctx, cancel := context.WithTimeout(r.Context(), longestProfile)
			defer cancel()
			r = r.WithContext(ctx)
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			head.Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "nothing can be changed here; use GET")
		case r.URL.IsAbs():
			plain(w, http.StatusMisdirectedRequest, "this is no proxy; its listener is another one")
		case !ownName(r):
			plain(w, http.StatusMisdirectedRequest, "the Host of the request is not this machine; use localhost or 127.0.0.1")
		case !sameSite(r):
			plain(w, http.StatusForbidden, "a page of another site sent this request; open the address yourself")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownName reports whether a request names this machine, by a name that no page can make
// its own: one that resolves to loopback only for an attack (DNS rebinding) is not. On
// a unix socket there are no names, and no browser.
func ownName(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(name, "localhost")
}

// sameSite reports whether a request comes from the page itself, or from the address bar,
// or from no browser (https://www.w3.org/TR/fetch-metadata/).
func sameSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return false
}

// admitted refuses connections of whoever may not see the proxy's affairs.
func (h *Handler) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused, _ := r.Context().Value(admissionKey{}).(error); refused != nil {
			plain(w, http.StatusForbidden, refused.Error())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admissionKey is where a connection's context has why it is not admitted.
type admissionKey struct{}
