package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A rawServer is a TLS server whose connections a test serves itself, for what
// net/http's server does not do. It asks for a client certificate and takes any.
type rawServer struct {
	listener net.Listener
	config   *tls.Config
	wait     sync.WaitGroup
}

// raw starts a server. serve owns a connection until it returns; name is that of the
// client certificate.
func (r *rig) raw(serve func(t testing.TB, c *tls.Conn, name string), change ...func(*tls.Config)) (authority string) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	s := &rawServer{listener: l, config: &tls.Config{
		Certificates: []tls.Certificate{r.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{"localhost"}}).TLS()},
		ClientAuth:   tls.RequestClientCert,
	}}
	for _, f := range change {
		f(s.config)
	}
	s.wait.Go(func() { s.accept(r.t, serve) })
	r.t.Cleanup(func() {
		_ = l.Close()
		s.wait.Wait()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String()) // a listener's address has one
	return "localhost:" + port
}

func (s *rawServer) accept(t testing.TB, serve func(testing.TB, *tls.Conn, string)) {
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			for c := range open {
				_ = c.Close()
			}
			return
		}
		mu.Lock()
		open[raw] = true
		mu.Unlock()
		s.wait.Go(func() {
			defer func() { _ = raw.Close() }()
			c := tls.Server(raw, s.config)
			if c.Handshake() != nil {
				return
			}
			name := ""
			if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
				name = certs[0].Subject.CommonName
			}
			serve(t, c, name)
		})
	}
}

// header reads a request's header and leaves its body unread.
func header(br *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil
	}
	return req
}

// say writes an answer's text.
func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
