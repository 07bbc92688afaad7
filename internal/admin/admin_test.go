package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/internal/throwaway"
	"github.com/certproxy/certproxy/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is an admin listener over a certs.d tree on disk.
type rig struct {
	t       testing.TB
	root    string
	store   *certs.Store
	pki     *throwaway.Certificate
	metrics *metrics.Metrics
	recent  *Recent
	handler *Handler
	addr    string // of its listener
	client  *http.Client
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "certs.d"), pki: throwaway.NewCA("pki"), recent: NewRecent(100)}
	r.store = certs.NewStore([]certs.Root{certs.Dir(r.root)}, nil)
	stats := func() proxy.Stats { return proxy.Stats{Clients: 7} }
	r.metrics = metrics.New(metrics.Config{Index: r.store.Index, Stats: stats, CANotAfter: r.pki.X509.NotAfter, Version: "v1"})
	c := Config{Version: "v1", Started: time.Now(), Roots: []string{r.root}, CA: r.pki.X509, Fingerprint: "AB:CD", Index: r.store.Index,
		Stats: stats, Metrics: r.metrics, Recent: r.recent}
	for _, f := range change {
		f(&c)
	}
	var err error
	if r.handler, err = New(c); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	r.serve(l)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	return r
}

func (r *rig) serve(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.handler.Serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Serve: %v", err)
		}
	})
}

func (r *rig) pair(host, name string, until time.Time) {
	r.t.Helper()
	r.pki.Issue(throwaway.Options{Name: "CN of " + name, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: until}).WritePair(filepath.Join(r.root, host), name)
	r.store.Reload(nil)
}

// An answer is one whose body was read.
type answer struct {
	status int
	header http.Header
}

// get asks for a page, with fields such as "Host: x".
func (r *rig) get(path string, fields ...string) (answer, string) {
	r.t.Helper()
	return r.do(http.MethodGet, path, fields...)
}

func (r *rig) do(method, path string, fields ...string) (answer, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header}, string(body)
}

func (r *rig) wants(body string, parts ...string) {
	r.t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			r.t.Errorf("the page has no %q", part)
		}
	}
}

func TestPageShowsHostsPairsExpiryProblemsAndRequests(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.pair("registry.example:5000", "a", now.AddDate(0, 0, 200))
	r.pair("registry.example:5000", "b", now.AddDate(0, 0, 20))
	r.pair("old.example", "client", now.AddDate(0, 0, -3))
	r.pki.Issue(throwaway.Options{Name: "x"}).WriteRoot(filepath.Join(r.root, "roots.example"), "x")
	r.store.Reload(nil)
	r.metrics.Attempted(proxy.Attempt{Host: "registry.example:5000", Pair: "a", Verdict: "rejected", Outcome: "alert 45 (expired certificate)"})
	r.metrics.RequestEnded(proxy.RequestEnd{Host: "registry.example:5000", Status: 200, BytesOut: 5 << 20})
	r.recent.RequestEnded(proxy.RequestEnd{Host: "registry.example:5000", Method: "GET", Path: "/v2/<script>", Status: 502, Ending: proxy.Refused,
		Reason: "it <b>refuses</b>", Client: proxy.Client{UID: 1000, HasUID: true}})
	r.handler.Listening([]Listener{{Addr: "127.0.0.1:3128"}, {Addr: "127.0.0.1:5001", Forward: "registry.example:5000"}})
	resp, body := r.get("/")
	if resp.status != 200 || !strings.HasPrefix(resp.header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", resp.status, resp.header.Get("Content-Type"))
	}
	r.wants(body, "registry.example:5000", "CN=CN of a", `class="soon"`, `class="expired"`, "expired 3 days ago", "in 20 days",
		"certificate has expired", "certproxy takes it at once", "alert 45 (expired certificate)", "/v2/&lt;script&gt;", "it &lt;b&gt;refuses&lt;/b&gt;",
		"none, only CA roots", "5.0 MiB", "AB:CD", "127.0.0.1:3128", "3 hosts with 3 pairs", `data-live="open.clients">7<`)
	if strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, "style=") || strings.Contains(body, "onclick") {
		t.Error("the page names another origin, or has inline style or script")
	}
}

func TestSearchSortAndPages(t *testing.T) {
	r := newRig(t)
	for i := range 130 {
		r.pki.Issue(throwaway.Options{Name: "robot", NotAfter: time.Now().AddDate(0, 0, 400-i)}).WritePair(filepath.Join(r.root, fmt.Sprintf("h%03d.example", i)), "client")
	}
	r.store.Reload(nil)
	shown := func(query string) (hosts []string, body string) {
		_, body = r.get("/" + query)
		for _, m := range regexp.MustCompile(`class="name">(h\d+)\.`).FindAllStringSubmatch(body, -1) {
			hosts = append(hosts, m[1])
		}
		return hosts, body
	}
	for query, want := range map[string]struct {
		number      int
		first, text string
	}{
		"":                        {100, "h000", "130 hosts with 130 pairs, 1 to 100 shown"},
		"?page=2":                 {30, "h100", "101 to 130 shown"},
		"?page=99":                {30, "h100", "Page 2 of 2"},
		"?page=-1":                {100, "h000", "Page 1 of 2"},
		"?sort=expires":           {100, "h129", "sort=expires"},
		"?q=H12":                  {10, "h120", "10 hosts match of 130"},
		"?q=ROBOT":                {100, "h000", "130 hosts match of 130"},
		"?q=h007&sort=expires":    {1, "h007", "1 host matches of 130"},
		"?q=%3Cscript%3E&sort=<i": {0, "", "No host or pair has <q>&lt;script&gt;</q>"},
	} {
		hosts, body := shown(query)
		if len(hosts) != want.number || want.number > 0 && hosts[0] != want.first || !strings.Contains(body, want.text) {
			t.Errorf("/%s shows %d hosts from %.1q; want %d from %s, and %q", query, len(hosts), hosts, want.number, want.first, want.text)
		}
	}
}

func TestStatusIsTheSameAsJSON(t *testing.T) {
	r := newRig(t)
	r.pair("registry.example", "a", time.Now().AddDate(0, 0, -3))
	uid := uint32(7)
	r.recent.RequestEnded(proxy.RequestEnd{Host: "registry.example:443", Method: "GET", Status: 200, Ending: proxy.Served, Client: proxy.Client{UID: uid, HasUID: true}})
	r.recent.TunnelEnded(proxy.TunnelEnd{Host: "other.example:443", BytesIn: 3})
	_, body := r.get("/api/status")
	var s Status
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if len(s.Hosts) != 1 || s.Hosts[0].Pairs[0].Name != "a" || len(s.Problems) != 1 || s.Open.Clients != 7 || s.Version != "v1" ||
		len(s.Recent) != 2 || s.Recent[0].Ending != "tunneled" || *s.Recent[1].UID != uid {
		t.Errorf("%+v", s)
	}
	if strings.Contains(body, "null") {
		t.Errorf("a list that is null: %s", body)
	}
}

func TestOnlyReadersOfThisMachineAreServed(t *testing.T) {
	r := newRig(t)
	_, port, _ := net.SplitHostPort(r.addr)
	cases := []struct {
		name, method, path string
		fields             []string
		want               int
	}{
		{"by address", "GET", "/", nil, 200},
		{"by localhost", "GET", "/", []string{"Host: localhost:" + port}, 200},
		{"through a forwarded port", "GET", "/", []string{"Host: LOCALHOST:1"}, 200},
		{"by IPv6", "GET", "/", []string{"Host: [::1]:" + port}, 200},
		{"HEAD", "HEAD", "/", nil, 200},
		{"a page of another site that rebinds its name", "GET", "/", []string{"Host: attacker.example:" + port}, 421},
		{"a name below localhost", "GET", "/", []string{"Host: x.localhost"}, 421},
		{"another address", "GET", "/", []string{"Host: 192.0.2.1"}, 421},
		{"no loopback", "GET", "/", []string{"Host: 0.0.0.0:" + port}, 421},
		{"a page of another site", "GET", "/api/status", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a page of a neighbour", "GET", "/events", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"the address bar", "GET", "/", []string{"Sec-Fetch-Site: none"}, 200},
		{"POST", "POST", "/", nil, 405},
		{"DELETE", "DELETE", "/api/status", nil, 405},
		{"POST to a profile", "POST", "/debug/pprof/symbol", nil, 405},
		{"nothing there", "GET", "/nothing", nil, 404},
		{"the flags, which may have a password", "GET", "/debug/pprof/cmdline", nil, 404},
		{"profiles", "GET", "/debug/pprof/", nil, 200},
		{"a profile", "GET", "/debug/pprof/goroutine?debug=1", nil, 200},
		{"metrics", "GET", "/metrics", nil, 200},
		{"health", "GET", "/healthz", nil, 200},
		{"style", "GET", "/style.css", nil, 200},
		{"script", "GET", "/script.js", nil, 200},
		{"icon", "GET", "/icon.svg", nil, 200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp, body := r.do(c.method, c.path, c.fields...)
			if resp.status != c.want {
				t.Errorf("%d, want %d: %.100s", resp.status, c.want, body)
			}
			for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if !strings.HasPrefix(resp.header.Get(name), want) {
					t.Errorf("%s: %q", name, resp.header.Get(name))
				}
			}
			if c.want >= 400 && c.method != "HEAD" && len(body) < 10 {
				t.Errorf("no reason: %q", body)
			}
		})
	}
}

func TestOnUnixSocketAnyNameWillDo(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	r.serve(l)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("answered %.80s", answer)
	}
}

func TestWhoIsNotAdmittedSeesHealthAlone(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Admit = func(net.Conn) error { return errors.New("user nobody may not see this") } })
	for _, path := range []string{"/", "/api/status", "/events", "/metrics", "/debug/pprof/", "/style.css"} {
		if resp, body := r.get(path); resp.status != 403 || body != "user nobody may not see this\n" {
			t.Errorf("%s: %d %q", path, resp.status, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if resp, _ := r.get(path); resp.status != 200 {
			t.Errorf("%s: %d", path, resp.status)
		}
	}
}

func TestReadinessIsTheProxys(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Ready = func() error { return errors.New("certproxy is starting") } })
	if resp, body := r.get("/readyz"); resp.status != 503 || body != "certproxy is starting\n" {
		t.Errorf("%d %q", resp.status, body)
	}
	if resp, _ := r.get("/healthz"); resp.status != 200 {
		t.Errorf("healthz: %d", resp.status)
	}
}

// stream opens an event stream, which stop ends.
func (r *rig) stream() (contentType string, br *bufio.Reader, stop func()) {
	r.t.Helper()
	resp, err := r.client.Get("http://" + r.addr + "/events")
	if err != nil {
		r.t.Fatal(err)
	}
	stop = func() { resp.Body.Close() }
	r.t.Cleanup(stop)
	return resp.Header.Get("Content-Type"), bufio.NewReader(resp.Body), stop
}

func nextTick(t *testing.T, br *bufio.Reader) tick {
	t.Helper()
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var event tick
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatal(err)
			}
			return event
		}
	}
}

func TestEventsTellOfReloadsAndRequests(t *testing.T) {
	r := newRig(t)
	kind, br, _ := r.stream()
	if kind != "text/event-stream" {
		t.Errorf("Content-Type %q", kind)
	}
	first := nextTick(t, br)
	if first.Open.Clients != 7 {
		t.Errorf("the first event is %+v", first)
	}
	r.pair("registry.example", "a", time.Now().AddDate(1, 0, 0))
	second := nextTick(t, br)
	if second.Index == first.Index || second.Requests != first.Requests {
		t.Errorf("after a reload: %+v, before %+v", second, first)
	}
	r.recent.RequestEnded(proxy.RequestEnd{})
	if third := nextTick(t, br); third.Requests == second.Requests {
		t.Errorf("after a request: %+v", third)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Streams = 2 })
	_, brA, leave := r.stream()
	_, brB, _ := r.stream()
	nextTick(t, brA)
	nextTick(t, brB)
	if resp, body := r.get("/events"); resp.status != 503 || !strings.Contains(body, "2 event streams") {
		t.Errorf("a third stream: %d %q", resp.status, body)
	}
	leave() // its place is free as soon as it is seen to have gone
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := r.client.Get("http://" + r.addr + "/events")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place of a stream that was left is not given to another: %s", resp.Status)
		}
	}
}

// Connections that do nothing hold no more than their number, and the one who looks for
// the cause is served when one of them goes.
func TestIdleConnectionsAreBounded(t *testing.T) {
	r := newRig(t)
	var held []net.Conn
	for range maxConnections {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatal(line, err)
		}
		held = append(held, c)
	}
	one, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	_ = one.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := one.Read(make([]byte, 1)); err == nil {
		t.Errorf("one connection too many is served: %d", n)
	}
	held[0].Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := r.client.Get("http://" + r.addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Whoever is not admitted cannot keep those out who are.
func TestStrangersLeaveRoom(t *testing.T) {
	var strange atomic.Bool
	strange.Store(true)
	r := newRig(t, func(c *Config) {
		c.Admit = func(net.Conn) error {
			if strange.Load() {
				return errors.New("user nobody may not see this")
			}
			return nil
		}
	})
	served := 0
	for range maxConnections + maxStrangers {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if line, _ := bufio.NewReader(c).ReadString('\n'); strings.Contains(line, "200") {
			served++
		}
	}
	if served != maxStrangers {
		t.Errorf("%d connections of strangers are served, want %d", served, maxStrangers)
	}
	strange.Store(false)
	if resp, _ := r.get("/api/status"); resp.status != 200 {
		t.Errorf("who is admitted is answered %d", resp.status)
	}
}

func TestRingKeepsTheLast(t *testing.T) {
	r := NewRecent(3)
	for i := range 8 {
		r.RequestEnded(proxy.RequestEnd{Status: i})
		list := r.list()
		if len(list) != min(i+1, 3) || list[0].Status != i || list[len(list)-1].Status != max(0, i-2) {
			t.Errorf("after %d: %+v", i+1, list)
		}
	}
	if r.count() != 8 {
		t.Errorf("count %d", r.count())
	}
}

func TestTextIsForPeople(t *testing.T) {
	now := time.Unix(1e9, 0)
	for d, want := range map[time.Duration]string{-time.Hour: "expired", -50 * time.Hour: "expired 2 days ago", time.Hour: "in 1 h", 9*24*time.Hour + 1: "in 10 days", 3650 * 24 * time.Hour: "in 10 years"} {
		if got := left(d); got != want {
			t.Errorf("left(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 999 << 20: "999 MiB", 1 << 63: "8.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for s, want := range map[float64]string{.0124: "12 ms", 2.34: "2.3 s", 125: "2 min", 7300: "2 h 1 min"} {
		if got := Took(s); got != want {
			t.Errorf("Took(%v) = %q, want %q", s, got, want)
		}
	}
	if got := grouped(uint64(1234567)); got != "1\u202f234\u202f567" {
		t.Errorf("grouped: %q", got)
	}
	for left, want := range map[time.Duration]string{0: "expired", 29 * 24 * time.Hour: "soon", 31 * 24 * time.Hour: ""} {
		if got := Expiry(now.Add(left), now); got != want {
			t.Errorf("Expiry in %v = %q, want %q", left, got, want)
		}
	}
}

// BenchmarkPage is what the page and the search cost with 2,000 hosts.
func BenchmarkPage(b *testing.B) {
	r := newRig(b)
	pair := r.pki.Issue(throwaway.Options{Name: "a", NotAfter: time.Now().AddDate(1, 0, 0)})
	for i := range 2000 {
		pair.WritePair(filepath.Join(r.root, fmt.Sprintf("registry-%d.example", i)), "client")
	}
	r.store.Reload(nil)
	for range 100 {
		r.recent.RequestEnded(proxy.RequestEnd{Host: "registry-1.example:443", Method: "GET", Path: "/v2/library/app/blobs/sha256:0123456789", Status: 200, Ending: proxy.Served})
	}
	for name, path := range map[string]string{"page": "/", "search": "/?q=registry-19", "expiry": "/?sort=expires", "json": "/api/status"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				_, body := r.get(path)
				size = len(body)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
