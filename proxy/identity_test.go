package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A witness is a server that notes who came, and over which connection.
type witness struct {
	mu      sync.Mutex
	open    map[net.Conn]bool
	conns   int
	resumed int
	seen    []string
	refuse  map[string]int // status by name; 0 accepts
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, name(r))
	if r.TLS.DidResume {
		w.resumed++
	}
	if status := w.refuse[name(r)]; status != 0 {
		rw.WriteHeader(status)
	}
}

func (w *witness) state(c net.Conn, s http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s {
	case http.StateNew:
		w.open[c] = true
		w.conns++
	case http.StateClosed:
		delete(w.open, c)
	}
}

func (w *witness) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

func (w *witness) connections() (now, ever int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open), w.conns
}

func (r *rig) witness(change ...func(*httptest.Server)) (*witness, string) {
	w := &witness{open: map[net.Conn]bool{}, refuse: map[string]int{}}
	change = append(change, func(s *httptest.Server) { s.Config.ConnState = w.state })
	return w, r.server(w.ServeHTTP, change...)
}

// With one session cache for all pairs, b would resume a's session and be a
// (measured on nginx, HAProxy and Go).
func TestNoPairResumesAnothersSession(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := newRig(t)
		w, host := r.witness(tlsVersion(version), func(s *httptest.Server) { s.Config.SetKeepAlivesEnabled(false) })
		r.list(host, "a", "b")
		w.refuse["a"] = 403
		for i := range 5 {
			r.get(host, fmt.Sprintf("/%d/", i)) // another directory, so that memory does not help
			if got := w.took(); !slices.Equal(got, []string{"a", "b"}) {
				t.Fatalf("%s: the server saw %v, want a and b", tls.VersionName(version), got)
			}
		}
		if w.resumed == 0 {
			t.Errorf("%s: no session was resumed, so this test shows nothing", tls.VersionName(version))
		}
	}
}

func TestAResumedSessionStillCountsAsAskedForACertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := newRig(t)
		w, host := r.witness(tlsVersion(version), func(s *httptest.Server) { s.Config.SetKeepAlivesEnabled(false) })
		r.list(host, "a", "b")
		r.get(host, "/")
		w.took()
		w.mu.Lock()
		w.refuse["a"] = 403
		w.mu.Unlock()
		if got, _ := r.get(host, "/"); got != 200 || w.resumed == 0 {
			t.Errorf("%s: status %d, %d resumed: the 403 of a resumed session did not move on", tls.VersionName(version), got, w.resumed)
		}
	}
}

func TestPairsHaveConnectionsOfTheirOwn(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a", "b")
	w.refuse["a"] = 403
	for i := range 10 {
		r.get(host, fmt.Sprintf("/%d/", i))
	}
	if _, ever := w.connections(); ever != 2 {
		t.Errorf("%d connections for two pairs and ten requests, want one each", ever)
	}
}

func TestUpstreamConnectionsAreSharedByClientConnections(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a")
	for range 5 {
		r.get(host, "/")
	}
	if _, ever := w.connections(); ever != 1 {
		t.Errorf("%d upstream connections for five client connections, want one", ever)
	}
}

func TestARotatedPairIsUsedByEveryRequestAfterTheReload(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a")
	client := r.client(1)
	r.do(client, "GET", host, "/", "")
	r.pki.Issue(throwaway.Options{Name: "next"}).WritePair(filepath.Join(r.root, host), "a")
	r.reload()
	r.do(client, "GET", host, "/", "") // over the connection that the client has kept
	if got := w.took(); !slices.Equal(got, []string{"a", "next"}) {
		t.Errorf("the server saw %v", got)
	}
	eventually(t, "the end of the old pair's connection", func() bool { now, _ := w.connections(); return now == 1 })
}

func TestAHostThatDidNotChangeKeepsItsConnections(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a")
	r.get(host, "/")
	r.list("other.example:443", "x") // a reload that changes another host
	r.get(host, "/")
	r.list(host) // touches the directory: the CA root is written again
	r.get(host, "/")
	if _, ever := w.connections(); ever != 1 {
		t.Errorf("%d connections, want the first one kept", ever)
	}
}

func TestOnePairsChangeLeavesTheOthersConnections(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a")
	r.get(host, "/")
	r.list(host, "b")
	r.get(host, "/")
	if _, ever := w.connections(); ever != 1 {
		t.Errorf("%d connections: a's was closed because b came", ever)
	}
}

func TestChangedCARootsEndTheConnectionsVerifiedWithTheOldOnes(t *testing.T) {
	r := newRig(t)
	w, host := r.witness()
	r.list(host, "a")
	r.get(host, "/")
	if err := os.Remove(filepath.Join(r.root, host, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	r.reload()
	if got, body := r.get(host, "/"); got != 502 {
		t.Errorf("%d %q from a server that is not trusted any more", got, body)
	}
	eventually(t, "the end of the connection", func() bool { now, _ := w.connections(); return now == 0 })
}

func TestARemovedPairsIdleConnectionsAreClosedAtOnceAndRequestsInFlightFinish(t *testing.T) {
	r := newRig(t)
	arrived, finish := make(chan string, 1), make(chan struct{})
	var open sync.Map
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			arrived <- name(req)
			<-finish
		}
		_, _ = w.Write([]byte(name(req)))
	}, func(s *httptest.Server) {
		s.Config.ConnState = func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				open.Delete(c)
			} else {
				open.Store(c, true)
			}
		}
	})
	connections := func() (n int) {
		open.Range(func(any, any) bool { n++; return true })
		return n
	}
	r.list(host, "a", "b")
	client := r.client(1)
	type answer struct {
		status int
		body   string
	}
	slow := make(chan answer, 1)
	go func() {
		resp, err := client.Get("https://" + host + "/slow")
		if err != nil {
			t.Error(err)
			slow <- answer{}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body := make([]byte, 10)
		n, _ := resp.Body.Read(body)
		slow <- answer{resp.StatusCode, string(body[:n])}
	}()
	if who := <-arrived; who != "a" {
		t.Fatalf("the slow request came as %q", who)
	}
	r.get(host, "/") // a second connection of a, idle afterwards
	if err := errors.Join(os.Remove(filepath.Join(r.root, host, "a.cert")), os.Remove(filepath.Join(r.root, host, "a.key"))); err != nil {
		t.Fatal(err)
	}
	r.reload()
	eventually(t, "the end of a's idle connection", func() bool { return connections() == 1 })
	if _, body := r.get(host, "/"); body != "b" {
		t.Errorf("a request after the reload came as %q", body)
	}
	close(finish)
	if got := <-slow; got != (answer{200, "a"}) {
		t.Errorf("the request in flight was answered %+v", got)
	}
	eventually(t, "the end of a's last connection", func() bool { return connections() == 1 })
}

func TestEachHostIsShownItsOwnPairOnly(t *testing.T) {
	r := newRig(t)
	token, tokenHost := r.witness()
	storage, storageHost := r.witness()
	registryHost := r.server(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://"+storageHost+"/blob")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	r.list(registryHost, "registry")
	r.list(tokenHost, "token")
	// Trusted by the client, and tunnelled: the storage has no directory.
	client := r.client(1, r.pki)
	if got, _ := r.do(client, "GET", registryHost, "/", ""); got != http.StatusTemporaryRedirect {
		t.Fatalf("status %d, want the redirect itself", got)
	}
	r.do(client, "GET", storageHost, "/blob", "")
	r.do(client, "GET", tokenHost, "/token", "")
	if got := storage.took(); !slices.Equal(got, []string{""}) {
		t.Errorf("the redirect's target saw %q, want no certificate", got)
	}
	if got := token.took(); !slices.Equal(got, []string{"token"}) {
		t.Errorf("the token server saw %q, want its own pair", got)
	}
}

func TestThePairIsShownWhateverCAsTheServerNames(t *testing.T) {
	r := newRig(t)
	w, host := r.witness(func(s *httptest.Server) { s.TLS.ClientCAs = throwaway.NewCA("another").Pool() })
	r.list(host, "a")
	r.get(host, "/")
	if got := w.took(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the server saw %q", got)
	}
}

func TestAServerShownByOurOwnCAIsNotTrusted(t *testing.T) {
	var own *throwaway.Certificate
	r := newRig(t, func(c *Config) {
		own = c.Leaves.(*testLeaves).ca
		c.SystemRoots = own.Pool() // as when it was put into the system's store
	})
	host := r.server(func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
		s.TLS.Certificates = []tls.Certificate{own.Issue(throwaway.Options{Hosts: []string{"localhost"}}).TLS()}
	})
	r.list(host, "a")
	if got, body := r.get(host, "/"); got != 502 {
		t.Errorf("%d %q", got, body)
	}
}

func TestAKeyTheServerCannotVerifyIsPassedOver(t *testing.T) {
	// An Ed25519 key and a server of TLS 1.2 that supports none of its signatures
	// cannot be had from crypto/tls, so the judgement is tested by itself.
	if v := judgeError(&outcome{err: &handshakeError{err: fmt.Errorf("tls: %w", errKeyUnsupported), presented: true}}); v != rejected {
		t.Errorf("verdict %v", v)
	}
}

func TestMemoryEnds(t *testing.T) {
	now := time.Now()
	a, b, c := &identity{key: identityKey{name: "a"}}, &identity{key: identityKey{name: "b"}}, &identity{key: identityKey{name: "c"}}
	all := []*identity{a, b, c}
	req := httptest.NewRequest("GET", "https://h/v2/x/manifests/1", nil)
	m := newMemory(time.Minute)
	m.learn(a, outcome{identity: a, verdict: rejected}, now)
	m.succeeded([]outcome{{identity: b, verdict: refused}, {identity: c, verdict: accepted}}, req, now)
	show := func(at time.Duration, r *http.Request) string {
		queue, skipped := m.order(all, r, now.Add(at))
		s := ""
		for _, id := range queue {
			s += id.name()
		}
		for _, id := range skipped {
			s += " -" + id.name()
		}
		return s
	}
	other := httptest.NewRequest("PUT", "https://h/v2/x/manifests/1", nil)
	for _, test := range []struct {
		at   time.Duration
		req  *http.Request
		want string
	}{
		{time.Second, req, "cb -a"}, {59 * time.Second, req, "cb -a"}, {time.Minute, req, "abc"}, {time.Second, other, "bc -a"},
	} {
		if got := show(test.at, test.req); got != test.want {
			t.Errorf("after %v, %s: %s, want %s", test.at, test.req.Method, got, test.want)
		}
	}
	m.learn(a, outcome{identity: a, resp: &http.Response{}, verdict: accepted}, now)
	if got := show(time.Second, req); got != "acb" && got != "cab" && got != "cba" {
		t.Errorf("a was accepted meanwhile, and the order is %s", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	a, b := &identity{}, &identity{}
	m := newMemory(time.Minute)
	for i := range 5 * maxPlaces {
		req := httptest.NewRequest("GET", fmt.Sprintf("https://h/%d/x", i), nil)
		m.succeeded([]outcome{{identity: a, verdict: refused}, {identity: b, verdict: accepted}}, req, time.Now())
	}
	if n := len(m.winners); n > maxPlaces {
		t.Errorf("%d places are kept", n)
	}
}
