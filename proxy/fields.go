package proxy

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// hopByHop are the fields that are about one connection, whether Connection names
// them or not (RFC 9110 section 7.6.1). What Connection names is so too.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// endToEnd copies the fields of src that are for the other end into dst. The lists of
// values are shared.
func endToEnd(dst, src http.Header) {
	named := src["Connection"]
	for name, values := range src {
		if !hopByHop(name) && (len(named) == 0 || !names(named, name)) {
			dst[name] = values
		}
	}
}

// keepEndToEnd removes the fields that are about one connection.
func keepEndToEnd(h http.Header) {
	named := h["Connection"]
	for name := range h {
		if hopByHop(name) || len(named) > 0 && names(named, name) {
			delete(h, name)
		}
	}
}

// names reports whether a list of options has a field's name among them.
func names(lists []string, name string) bool {
	for _, list := range lists {
		for option := range strings.SplitSeq(list, ",") {
			if textproto.CanonicalMIMEHeaderKey(textproto.TrimString(option)) == name {
				return true
			}
		}
	}
	return false
}

// hasToken reports whether a list of tokens, with parameters or not, has one.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for option := range strings.SplitSeq(list, ",") {
			option, _, _ = strings.Cut(option, ";")
			if strings.EqualFold(textproto.TrimString(option), token) {
				return true
			}
		}
	}
	return false
}

// authenticatesConnection reports whether a request authenticates its connection, and all
// that follows on it, rather than itself (RFC 4559 section 6, [MS-NTHT]).
func authenticatesConnection(h http.Header) bool {
	for _, v := range h["Authorization"] {
		scheme, _, _ := strings.Cut(textproto.TrimString(v), " ")
		if strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate") {
			return true
		}
	}
	return false
}

// upgradeTo returns the protocol that a header asks to switch to, or "".
func upgradeTo(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	return h.Get("Upgrade")
}

// addVia adds our entry (RFC 9110 section 7.6.3). The list may be shared, so it is
// copied.
func addVia(h http.Header, major, minor int, pseudonym string) {
	version := "1.1 "
	switch {
	case major >= 2:
		version = "2.0 "
	case minor == 0:
		version = "1.0 "
	}
	h["Via"] = append(slices.Clip(h["Via"]), version+pseudonym)
}
