package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A site is a proxy of the site: it leads to one server, whatever name it is asked for.
type site struct {
	url   string
	asked atomic.Int32 // for connections
}

func newSite(t *testing.T, server func() string) *site {
	t.Helper()
	s := &site{}
	var wait sync.WaitGroup
	t.Cleanup(wait.Wait)
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		to, err := net.Dial("tcp", server())
		if err != nil {
			t.Error(err)
			return
		}
		from, in, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		wait.Go(func() { _, _ = io.Copy(to, in); _ = to.Close() })
		wait.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
	}))
	t.Cleanup(l.Close)
	s.url = l.URL
	return s
}

// Whoever changes upstream_proxy wants nothing more to go the old way: not over a kept
// connection, nor over one that was in use meanwhile.
func TestAfterAReroutingNothingGoesTheOldWay(t *testing.T) {
	const host = "registry.example:443"
	for name, grpc := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			var server string
			old, now := newSite(t, func() string { return server }), newSite(t, func() string { return server })
			r := newRig(t, func(c *Config) { c.UpstreamProxy = old.url })
			arrived, answer := make(chan struct{}, 1), make(chan struct{})
			var mu sync.Mutex
			over := map[string][]string{} // paths, by the connection over which the server saw them
			_, port, _ := net.SplitHostPort(r.server(func(_ http.ResponseWriter, q *http.Request) {
				mu.Lock()
				over[q.RemoteAddr] = append(over[q.RemoteAddr], q.URL.Path)
				mu.Unlock()
				if q.URL.Path == "/wait" {
					arrived <- struct{}{}
					<-answer
				}
			}, func(s *httptest.Server) {
				s.EnableHTTP2 = grpc
				s.TLS.Certificates = []tls.Certificate{r.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{"registry.example"}}).TLS()}
			}))
			server = "127.0.0.1:" + port
			r.list(host, "a")
			client := r.client(2)
			get := func(path string) {
				req, err := http.NewRequest(http.MethodPost, "https://"+host+path, strings.NewReader(""))
				if err != nil {
					t.Error(err)
					return
				}
				if grpc {
					req.Header.Set("Content-Type", "application/grpc")
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			get("/")
			get("/")
			if n := old.asked.Load(); n != 1 {
				t.Fatalf("%d connections by the old way; this test needs one that is kept", n)
			}
			var wait sync.WaitGroup
			wait.Go(func() { get("/wait") })
			<-arrived
			if err := r.proxy.Reroute(now.url); err != nil {
				t.Fatal(err)
			}
			get("/after")
			if got := now.asked.Load(); got != 1 {
				t.Errorf("%d connections by the new way, want 1", got)
			}
			close(answer)
			wait.Wait()
			for range 3 {
				get("/after")
			}
			if err := r.proxy.Reroute("socks5://nowhere"); err == nil {
				t.Error("rerouted to what is no proxy")
			}
			get("/after")
			if got := now.asked.Load(); got != 1 {
				t.Errorf("%d connections by the new way after a mistake that changes nothing, want 1", got)
			}
			for conn, paths := range over {
				if all := strings.Join(paths, " "); strings.Contains(all, "/after") && all != strings.TrimSpace(strings.Repeat("/after ", len(paths))) {
					t.Errorf("connection %s carried %s: it went the old way, and was used again", conn, all)
				}
			}
		})
	}
}

// A kept connection that went the old way is closed at once, and not only passed over.
func TestAReroutingClosesKeptConnections(t *testing.T) {
	var server string
	old := newSite(t, func() string { return server })
	r := newRig(t, func(c *Config) { c.UpstreamProxy = old.url })
	closed := make(chan struct{}, 1)
	_, port, _ := net.SplitHostPort(r.server(func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
		s.TLS.Certificates = []tls.Certificate{r.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{"registry.example"}}).TLS()}
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
	}))
	server = "127.0.0.1:" + port
	r.list("registry.example:443", "a")
	r.get("registry.example:443", "/")
	if err := r.proxy.Reroute("direct"); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the kept connection", closed)
}
