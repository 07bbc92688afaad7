package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// An onlooker keeps what a proxy tells of.
type onlooker struct {
	mu         sync.Mutex
	requests   []RequestEnd
	tunnels    []TunnelEnd
	handshakes []HandshakeEnd
	attempts   []Attempt
}

func (w *onlooker) watch(c *Config) {
	told := c.Attempted
	c.Attempted = func(a Attempt) { told(a); keep(w, &w.attempts, a) }
	c.RequestEnded = func(e RequestEnd) { keep(w, &w.requests, e) }
	c.TunnelEnded = func(e TunnelEnd) { keep(w, &w.tunnels, e) }
	c.HandshakeEnded = func(e HandshakeEnd) { keep(w, &w.handshakes, e) }
}

func keep[E any](w *onlooker, to *[]E, e E) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*to = append(*to, e)
}

// last waits for a further event, and returns it.
func last[E any](t *testing.T, w *onlooker, of *[]E) E {
	t.Helper()
	var e E
	eventually(t, fmt.Sprintf("an event %T", e), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(*of) == 0 {
			return false
		}
		e = (*of)[len(*of)-1]
		*of = nil
		return true
	})
	return e
}

func TestRequestIsToldWithAllThatItsLogLineHas(t *testing.T) {
	w := &onlooker{}
	r := newRig(t, w.watch)
	host := r.server(func(rw http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if req.TLS.PeerCertificates[0].Subject.CommonName == "a" {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(rw, "answer")
	})
	r.list(host, "a", "b")
	for _, proto := range []int{1, 2} {
		r.proxy.Reloaded() // forgets which pair was accepted
		r.do(r.client(proto), "PUT", host, "/v2/x?token=secret", "body")
		e := last(t, w, &w.requests)
		if e.Host != host || e.Method != "PUT" || e.Path != "/v2/x" || e.Status != 200 || e.Pair != "b" || e.Attempts != 2 ||
			e.BytesIn != 4 || e.BytesOut != 6 || e.Ending != Served || e.Refusal != "" || e.Duration <= 0 || e.Began.IsZero() ||
			!strings.HasPrefix(e.Client.Addr, "127.0.0.1:") {
			t.Errorf("HTTP/%d: told %+v", proto, e)
		}
		h := last(t, w, &w.handshakes)
		if h.Outcome != "ok" || h.Host != host || h.Duration <= 0 {
			t.Errorf("told of a handshake %+v", h)
		}
		w.mu.Lock()
		attempts := w.attempts
		w.attempts = nil
		w.mu.Unlock()
		if len(attempts) != 2 || attempts[0].Verdict != "refused" || attempts[0].Status != 403 || attempts[1].Verdict != "accepted" || attempts[1].Duration <= 0 {
			t.Errorf("told of attempts %+v", attempts)
		}
	}
}

func TestRefusalsAreTold(t *testing.T) {
	w := &onlooker{}
	r := newRig(t, w.watch)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	gone := dead.Addr().String()
	cases := []struct {
		name, send string
		want       RequestEnd
	}{
		{"a CONNECT to ourselves", "CONNECT " + r.addr + " HTTP/1.1\r\nHost: x\r\n\r\n", RequestEnd{Host: r.addr, Method: "CONNECT", Status: 508, Refusal: "proxy_loop_detected"}},
		{"a CONNECT to nobody", "CONNECT " + gone + " HTTP/1.1\r\nHost: x\r\n\r\n", RequestEnd{Host: gone, Method: "CONNECT", Status: 502, Refusal: "connection_refused"}},
		{"a CONNECT that is none", "CONNECT what HTTP/1.1\r\nHost: x\r\n\r\n", RequestEnd{Host: "what", Method: "CONNECT", Status: 400, Refusal: "http_request_error"}},
		{"an absolute URL of nobody", "GET http://" + gone + "/p?q=secret HTTP/1.1\r\nHost: x\r\n\r\n", RequestEnd{Host: gone, Method: "GET", Path: "/p", Status: 502, Refusal: "connection_refused"}},
		{"a web request", "GET /p?q=secret HTTP/1.1\r\nHost: x\r\n\r\n", RequestEnd{Method: "GET", Path: "/p", Status: 400, Refusal: "http_request_error"}},
		{"not understood", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", RequestEnd{Status: 400, Refusal: "http_request_error"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := r.dial()
			_, _ = io.WriteString(conn, c.send)
			e := last(t, w, &w.requests)
			if e.Host != c.want.Host || e.Method != c.want.Method || e.Path != c.want.Path || e.Status != c.want.Status || e.Refusal != c.want.Refusal {
				t.Errorf("told %+v; want %+v", e, c.want)
			}
			if e.Ending != Refused || e.Reason == "" || e.Hint == "" || strings.Contains(fmt.Sprintf("%+v", e), "secret") {
				t.Errorf("told %+v; want a refusal with its reason and hint, and no query", e)
			}
		})
	}
}

func TestTunnelIsToldAndCounted(t *testing.T) {
	w := &onlooker{}
	r := newRig(t, w.watch)
	host := r.server(func(rw http.ResponseWriter, _ *http.Request) {})
	c, _, resp := r.connect(host)
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if s := r.proxy.Stats(); s.Tunnels != 1 || s.Clients != 1 || s.UpstreamActive+s.UpstreamIdle != 0 {
		t.Errorf("with a tunnel open: %+v", s)
	}
	_, _ = io.WriteString(c, "not TLS\r\n")
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
	e := last(t, w, &w.tunnels)
	if e.Host != host || e.BytesIn < 9 || e.Duration <= 0 || !strings.HasPrefix(e.Client.Addr, "127.0.0.1:") {
		t.Errorf("told %+v", e)
	}
	eventually(t, "an end of the tunnel in the figures", func() bool { return r.proxy.Stats() == Stats{} })
}

func TestHandshakeOutcomesAreTold(t *testing.T) {
	w := &onlooker{}
	r := newRig(t, w.watch)
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	c, _, _ := r.connect(host)
	_, _ = io.WriteString(c, "plaintext\r\n\r\n")
	if h := last(t, w, &w.handshakes); h.Leg != ToClient || h.Outcome != "not_tls" {
		t.Errorf("plaintext: told %+v", h)
	}
	stranger := newRig(t).server(func(http.ResponseWriter, *http.Request) {}) // of another CA
	r.list(stranger, "a")
	r.get(stranger, "/")
	if h := last(t, w, &w.handshakes); h.Leg != ToHost || h.Outcome != "untrusted" || h.Host != stranger {
		t.Errorf("a server that is not trusted: told %+v", h)
	}
}

func TestStatsReturnToNothing(t *testing.T) {
	r := newRig(t)
	enter, leave := make(chan struct{}), make(chan struct{})
	host := r.server(func(http.ResponseWriter, *http.Request) {
		enter <- struct{}{}
		<-leave
	})
	r.list(host, "a")
	for _, proto := range []int{1, 2} {
		client := r.client(proto)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.do(client, "GET", host, "/", "")
		}()
		<-enter
		if s := r.proxy.Stats(); s != (Stats{Clients: 1, Requests: 1, UpstreamActive: 1}) {
			t.Errorf("HTTP/%d, during a request: %+v", proto, s)
		}
		close(leave)
		<-done
		leave = make(chan struct{})
		eventually(t, "an idle connection", func() bool { return r.proxy.Stats() == Stats{Clients: 1, UpstreamIdle: 1} })
		client.CloseIdleConnections()
		eventually(t, "an end of the client's connection", func() bool { return r.proxy.Stats().Clients == 0 })
		for _, pair := range []string{"a", "x"} { // another one: the idle connection is closed
			r.pki.Issue(throwaway.Options{Name: pair}).WritePair(r.root+"/"+host, "a")
		}
		r.reload()
		eventually(t, "nothing open", func() bool { return r.proxy.Stats() == Stats{} })
	}
}

// Whatever a listener of this process is called, no client reaches it by the proxy.
func TestRefusedListenerIsNeverReached(t *testing.T) {
	r := newRig(t)
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	r.proxy.Refuse(own.Addr())
	r.proxy.Refuse(&net.UnixAddr{Name: "/run/x.sock", Net: "unix"})
	_, port, _ := net.SplitHostPort(own.Addr().String())
	for host, want := range map[string]string{"127.0.0.1": "508", "localhost": "508", "::ffff:127.0.0.1": "508", "0.0.0.0": "508", "127.1": "400", "2130706433": "400"} {
		authority := net.JoinHostPort(host, port)
		for _, send := range []string{"CONNECT " + authority + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://" + authority + "/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
			conn := r.dial()
			_, _ = io.WriteString(conn, send)
			answer, _ := io.ReadAll(conn)
			if status := strings.TrimPrefix(string(answer), "HTTP/1.1 "); !strings.HasPrefix(status, want) {
				t.Errorf("%.40q is answered %.80q; want %s", send, answer, want)
			}
		}
	}
	_ = own.(*net.TCPListener).SetDeadline(time.Now())
	if conn, err := own.Accept(); err == nil {
		t.Errorf("reached from %s", conn.RemoteAddr())
	}
}
