package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// identities returns those of a host that was asked before.
func (r *rig) identities(host string) []*identity {
	r.proxy.upstreams.mu.Lock()
	defer r.proxy.upstreams.mu.Unlock()
	return r.proxy.upstreams.open[host].identities
}

// idle returns how many unused connections an identity has, after setting back the
// time of their last use.
func (p *pool) age(by time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.idleSince = c.idleSince.Add(-by)
	}
	return len(p.idle)
}

// oneEach serves one request per connection, and closes it without saying so.
func oneEach(served *atomic.Int32, closed chan<- struct{}) func(testing.TB, *tls.Conn, string) {
	return func(_ testing.TB, c *tls.Conn, _ string) {
		req := header(bufio.NewReader(c))
		if req == nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		served.Add(1)
		say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_ = c.Close()
		closed <- struct{}{}
	}
}

// A connection that the server has closed meanwhile is not used again, so that not
// even what must not be sent twice meets a dead one.
func TestAConnectionThatTheServerClosedIsNotUsedAgain(t *testing.T) {
	r := newRig(t)
	var served atomic.Int32
	closed := make(chan struct{}, 10)
	host := r.raw(oneEach(&served, closed))
	r.list(host, "a")
	for i := range 5 {
		if got, body := r.do(r.client(1), "POST", host, "/", "x"); got != 200 {
			t.Fatalf("request %d: %d %q", i, got, body)
		}
		<-closed
	}
	if got := r.took(); len(got) != 5 || served.Load() != 5 {
		t.Errorf("%d attempts, %d served", len(got), served.Load())
	}
}

// What must not be sent twice goes over a connection only if that was used just now:
// one that dies under a POST may have carried it to the server.
func TestWhatMustNotBeSentTwiceAvoidsOldConnections(t *testing.T) {
	for _, test := range []struct {
		method, body string
		fresh        bool
	}{
		{"GET", "", false}, {"DELETE", "", false}, {"POST", "", true}, {"POST", "x", true}, {"PUT", "x", true}, // a single pair keeps no body
	} {
		r := newRig(t)
		w, host := r.witness()
		r.list(host, "a")
		r.get(host, "/")
		if n := r.identities(host)[0].idle.age(2 * surelyOpen); n != 1 {
			t.Fatalf("%d idle connections", n)
		}
		r.do(r.client(1), test.method, host, "/", test.body)
		want := 1
		if test.fresh {
			want = 2
		}
		if _, ever := w.connections(); ever != want {
			t.Errorf("%s with body %q: %d connections, want %d", test.method, test.body, ever, want)
		}
	}
}

// A connection that dies under a request, although it looked open.
func TestAKeptConnectionThatDiesIsReplacedOnce(t *testing.T) {
	for _, test := range []struct {
		method string
		want   int
	}{
		{"GET", 200}, {"DELETE", 200}, {"POST", 502}, // the server may have acted on it
	} {
		r := newRig(t)
		var conns atomic.Int32
		host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
			first := conns.Add(1) == 1
			br := bufio.NewReader(c)
			for i := 0; ; i++ {
				if req := header(br); req == nil || first && i == 1 {
					return // dies with the second request
				}
				say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		r.list(host, "a", "b")
		r.get(host, "/")
		if got, _ := r.do(r.client(1), test.method, host, "/", ""); got != test.want {
			t.Errorf("%s: %d, want %d", test.method, got, test.want)
		}
		r.logged("request served")
	}
}

// The same with a body where no other pair follows, for which it would be kept: over a
// kept connection it is kept all the same, unless it is large.
func TestABodyOverAKeptConnectionThatDiesIsSentAgain(t *testing.T) {
	small, large := strings.Repeat("x", 70_000), strings.Repeat("x", keptBriefly+1)
	for _, test := range []struct {
		name, method string
		body         io.Reader
		want         int
	}{
		{"PUT", "PUT", strings.NewReader(small), 200},
		{"chunked PUT", "PUT", io.MultiReader(strings.NewReader(small)), 200},
		{"POST", "POST", strings.NewReader(small), 502}, // the server may have acted on it
		{"large PUT", "PUT", strings.NewReader(large), 502},
		{"large chunked PUT", "PUT", io.MultiReader(strings.NewReader(large)), 502},
	} {
		r := newRig(t)
		var conns atomic.Int32
		var got atomic.Value
		host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
			first := conns.Add(1) == 1
			br := bufio.NewReader(c)
			for i := 0; ; i++ {
				req := header(br)
				if req == nil {
					return
				}
				body, err := io.ReadAll(req.Body)
				if err != nil || first && i == 1 {
					return // dies with the second request
				}
				got.Store(string(body))
				say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		r.list(host, "a")
		r.get(host, "/")
		req, err := http.NewRequestWithContext(t.Context(), test.method, "https://"+host+"/", test.body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.client(1).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", test.name, resp.StatusCode, test.want)
		}
		if test.want == 200 && got.Load() != small {
			t.Errorf("%s: another body arrived", test.name)
		}
	}
}

func TestUnusedConnectionsAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config) { c.IdleTimeout = 50 * time.Millisecond })
	w, host := r.witness()
	r.list(host, "a")
	r.get(host, "/")
	eventually(t, "the idle connection is closed", func() bool {
		now, ever := w.connections()
		return now == 0 && ever == 1
	})
}

// The number of unused connections is bounded.
func TestTheUnusedConnectionsAreBounded(t *testing.T) {
	r := newRig(t)
	const most, n = 3, 10
	all := make(chan struct{})
	var here atomic.Int32
	host := r.server(func(_ http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/first" {
			return
		}
		if here.Add(1) == n {
			close(all)
		}
		<-all
	})
	r.list(host, "a")
	r.get(host, "/first")
	idle := &r.identities(host)[0].idle
	idle.most = most
	client, done := r.client(2), make(chan error, n)
	for range n {
		go func() {
			resp, err := client.Get("https://" + host + "/")
			if err == nil {
				err = resp.Body.Close()
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all are put back", func() bool { return idle.age(0) == most })
}

// After another protocol a connection is at its end, whatever the server thinks.
func TestAnUpgradedConnectionIsNeverUsedAgain(t *testing.T) {
	r := newRig(t)
	ended := make(chan string, 1)
	host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
		br := bufio.NewReader(c)
		if header(br) == nil {
			return
		}
		say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rest, _ := io.ReadAll(br)
		ended <- string(rest)
	})
	r.list(host, "a")
	conn, br := r.secure(host, "localhost")
	say(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = conn.Close()
	if rest := <-ended; rest != "" {
		t.Errorf("the server read %q", rest)
	}
	r.logged("request served") // only then is the connection given back, or up
	if n := r.identities(host)[0].idle.age(0); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
}

// Some schemes of authentication are about the connection and not the request (RFC 4559 section
// 6): whatever comes over it afterwards is answered as whoever authenticated first. Such a
// connection is that one client's, who needs it for the next message of the same scheme.
func TestAConnectionThatAClientHasAuthenticatedIsNobodyElses(t *testing.T) {
	for _, scheme := range []string{"NTLM", "Negotiate", "ntlm"} {
		r := newRig(t)
		answer := func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, req.RemoteAddr) }
		host := r.server(answer)
		r.list(host, "a")
		plain := httptest.NewServer(http.HandlerFunc(answer))
		defer plain.Close()
		for name, dial := range map[string]func() (net.Conn, *bufio.Reader, string){
			"inside CONNECT": func() (net.Conn, *bufio.Reader, string) {
				conn, br := r.secure(host, "localhost")
				return conn, br, "GET / HTTP/1.1\r\nHost: " + host + "\r\n"
			},
			"absolute URL": func() (net.Conn, *bufio.Reader, string) {
				conn := r.dial()
				return conn, bufio.NewReader(conn), "GET " + plain.URL + "/ HTTP/1.1\r\nHost: x\r\n"
			},
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				one, oneReads, request := dial()
				two, twoReads, _ := dial()
				ask := func(conn net.Conn, br *bufio.Reader, fields string) string {
					_, _ = io.WriteString(conn, request+fields+"\r\n")
					resp, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != http.StatusOK {
						t.Fatalf("%s %q, %v", resp.Status, body, err)
					}
					return string(body)
				}
				mine := ask(one, oneReads, "Authorization: "+scheme+" TlRMTVNTUAABAAAA\r\n")
				for range 3 {
					if other := ask(two, twoReads, ""); other == mine {
						t.Errorf("another client's request goes over the same connection")
					}
					if again := ask(one, oneReads, ""); again != mine {
						t.Errorf("the client's next request goes over another connection, which knows nothing of it")
					}
				}
			})
		}
	}
}
