package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkKeptConnection is a small request after the other on one connection.
func BenchmarkKeptConnection(b *testing.B) {
	const request = "GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "{}")
	})
	run := func(b *testing.B, serve func(net.Listener)) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go serve(l)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		br := bufio.NewReader(c)
		ask := func() int {
			_, _ = io.WriteString(c, request)
			length := 0
			for {
				line, err := br.ReadSlice('\n')
				if err != nil {
					b.Fatal(err)
				}
				if length += len(line); len(line) == 2 {
					n, _ := br.Discard(2)
					return length + n
				}
			}
		}
		ask()
		b.ReportAllocs()
		for b.Loop() {
			ask()
		}
	}
	b.Run("http1", func(b *testing.B) {
		s := newServer(handler)
		defer s.Close()
		run(b, func(l net.Listener) { _ = s.Serve(context.Background(), l) })
	})
	b.Run("net/http", func(b *testing.B) {
		s := &http.Server{Handler: handler}
		defer func() { _ = s.Close() }()
		run(b, func(l net.Listener) { _ = s.Serve(l) })
	})
}
