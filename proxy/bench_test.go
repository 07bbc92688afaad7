package proxy

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkInterceptedRequest is one small request over a kept connection: client,
// proxy and server share the processors and the figure.
func BenchmarkInterceptedRequest(b *testing.B) {
	for name, proto := range map[string]int{"h1": 1, "h2": 2} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "small") })
			r.list(host, "a")
			client := r.client(proto)
			r.do(client, "GET", host, "/", "")
			b.ReportAllocs()
			for b.Loop() {
				r.do(client, "GET", host, "/", "")
			}
		})
	}
}

// BenchmarkNewConnection is a CONNECT, a handshake and one request.
func BenchmarkNewConnection(b *testing.B) {
	r := newRig(b)
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	for b.Loop() {
		client := r.client(1)
		r.do(client, "GET", host, "/", "")
		client.CloseIdleConnections()
	}
}
