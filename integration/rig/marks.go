package rig

import (
	"net/http"
	"net/url"
)

// What the clients of the rig send to hosts besides what a test asks for, and what no
// log, page or error of certproxy may have: see [Secrets].
const (
	MarkAuthorization = "hush-authorization-YqG7vK2wTz"
	MarkCookie        = "hush-cookie-n5RbX0dLcU9s"
	MarkQuery         = "hush-query-Jm4EaZ8yFw1h"
	MarkPassword      = "hush-password-tC6oSg3iPx"
)

// Marked returns secrets that know what the rig's clients send.
func Marked() *Secrets {
	s := NewSecrets()
	for what, mark := range map[string]string{
		"Authorization": MarkAuthorization, "a cookie": MarkCookie, "a query": MarkQuery, "a password": MarkPassword,
	} {
		s.Add(what, []byte(mark))
	}
	return s
}

// A marking RoundTripper adds what is secret to requests that do not have it.
type marking struct{ *http.Transport }

func (m marking) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range markedFields() {
		if r.Header.Get(name) == "" {
			r.Header.Set(name, value)
		}
	}
	r.URL = withQuery(r.URL)
	return m.Transport.RoundTrip(r)
}

func markedFields() map[string]string {
	return map[string]string{"Authorization": "Bearer " + MarkAuthorization, "Cookie": "session=" + MarkCookie}
}

// withQuery returns the URL with a secret query, where it had none.
func withQuery(u *url.URL) *url.URL {
	if u.RawQuery != "" {
		return u
	}
	marked := *u
	marked.RawQuery = "access_token=" + MarkQuery
	return &marked
}
