package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
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

// BenchmarkWatchedRequest is the same, with somebody who watches.
func BenchmarkWatchedRequest(b *testing.B) {
	r := newRig(b, func(c *Config) {
		c.RequestEnded, c.TunnelEnded, c.HandshakeEnded = func(RequestEnd) {}, func(TunnelEnd) {}, func(HandshakeEnd) {}
	})
	host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "small") })
	r.list(host, "a")
	client := r.client(1)
	r.do(client, "GET", host, "/", "")
	b.ReportAllocs()
	for b.Loop() {
		r.do(client, "GET", host, "/", "")
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

// BenchmarkBody is a large body, each way.
func BenchmarkBody(b *testing.B) {
	const size = 64 << 20
	piece := make([]byte, 64<<10)
	for method, proto := range map[string]int{"GET": 1, "GET, HTTP/2": 2, "PUT": 1, "PUT, HTTP/2": 2} {
		b.Run(method, func(b *testing.B) {
			method, _, _ := strings.Cut(method, ",")
			r := newRig(b)
			host := r.server(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				if req.Method == http.MethodGet {
					w.Header().Set("Content-Length", strconv.Itoa(size))
					for range size / len(piece) {
						_, _ = w.Write(piece)
					}
				}
			})
			r.list(host, "a")
			client := r.client(proto)
			b.SetBytes(size)
			for b.Loop() {
				var body io.Reader
				if method == http.MethodPut {
					body = io.LimitReader(zeros{}, size)
				}
				req, err := http.NewRequest(method, "https://"+host+"/", body)
				if err != nil {
					b.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
