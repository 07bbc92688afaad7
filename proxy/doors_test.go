package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/http1"
)

// forward opens a listener that is the host, and returns its address.
func (r *rig) forward(authority string) string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server, done := r.proxy.newDoorServer(Door{Forward: authority}), make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		server.Close()
		if err := <-done; !errors.Is(err, http1.ErrClosed) {
			r.t.Errorf("the listener ended by %v", err)
		}
	})
	return l.Addr().String()
}

// askRaw sends a request as it is written, and returns the answer with its body.
func askRaw(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: strings.Fields(request)[0]})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp, string(body)
}

// naming answers who asked, and how.
func naming(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s asks %s%s", name(r), r.Host, r.RequestURI)
}

func TestAnAbsoluteURLOfAListedHostGoesWithAPair(t *testing.T) {
	r := newRig(t)
	host := r.server(naming)
	r.list(host, "a")
	for _, scheme := range []string{"http", "HTTP", "https"} {
		for target, want := range map[string]string{
			"/v2/%41/../x//?q=1;2": "/v2/%41/../x//?q=1;2", "": "/", "?q": "/?q", "/": "/",
		} {
			resp, body := askRaw(t, r.addr, "GET "+scheme+"://"+host+target+" HTTP/1.1\r\nHost: another.example\r\n\r\n")
			if want = "a asks " + host + want; resp.StatusCode != 200 || body != want {
				t.Errorf("%s://...%s: %s %q, want %q", scheme, target, resp.Status, body, want)
			}
		}
	}
	if took := r.took(); len(took) != 12 || !slices.Equal(slices.Compact(took), []string{"a 200"}) {
		t.Errorf("attempts %q", took)
	}
	entry := r.logged("request served")
	if entry["pair"] != "a" || entry["host"] != host {
		t.Errorf("logged %v", entry)
	}
}

func TestPort80OfAListedHostIs443(t *testing.T) {
	secure := make(chan string, 4)
	r := newRig(t, func(c *Config) {
		c.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
			secure <- addr
			return nil, net.ErrClosed
		}
	})
	r.list("registry.example:443", "a")
	for url, want := range map[string]string{
		"http://registry.example/": "registry.example:443", "http://registry.example:80/": "registry.example:443",
		"https://registry.example/": "registry.example:443",
		"http://other.example/":     "other.example:80", "https://other.example/": "other.example:443", "http://registry.example:8080/": "registry.example:8080",
	} {
		resp, _ := askRaw(t, r.addr, "GET "+url+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := await(t, "a connection", secure); got != want || resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: dialed %s, answered %s; want %s", url, got, resp.Status, want)
		}
	}
}

func TestPlainHTTPOfOtherHostsIsCarriedUntouched(t *testing.T) {
	r := newRig(t)
	more := make(chan struct{})
	var seen http.Header
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = req.Header.Clone()
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("X-Body", string(body))
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "first,")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "second")
	}))
	defer origin.Close()
	c := r.dial()
	_, _ = fmt.Fprintf(c, "POST %s/path HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 4\r\n\r\nbody", origin.URL)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first," { // flushed, for the rest is held back
		t.Fatalf("%q, %v", first, err)
	}
	close(more)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != "second" || resp.Header.Get("X-Body") != "body" || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q, %v, %v", rest, err, resp.Header)
	}
	if seen.Get("X-End") != "2" || seen.Get("X-Hop") != "" || seen.Get("Proxy-Authorization") != "" || seen.Get("Proxy-Connection") != "" || !strings.Contains(seen.Get("Via"), r.proxy.pseudonym) {
		t.Errorf("the server saw %v", seen)
	}
	if entry := r.logged("request served"); entry["pair"] != "" || entry["status"] != int64(200) {
		t.Errorf("logged %v", entry)
	}
}

func TestHostsWithoutADirectoryAreForgottenInTime(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	})
	for i := range 2*maxUnlisted + 1 {
		_, _ = askRaw(t, r.addr, fmt.Sprintf("GET http://h%d.example/ HTTP/1.1\r\nHost: x\r\n\r\n", i))
	}
	u := &r.proxy.upstreams.without
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.open) != maxUnlisted {
		t.Errorf("%d are remembered, want %d", len(u.open), maxUnlisted)
	}
}

func TestAbsoluteURLsThatAreNotCarried(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RefuseUnlisted = func() bool { return true } })
	for url, want := range map[string]int{
		"ftp://files.example/": 400, "http://user:pw@files.example/": 400, "http://files.example:0/": 400,
		"http://fi%6ces.example/": 400, "http://files..example/": 400, "http://other.example/": 403, "https://other.example/": 403,
	} {
		if resp, body := askRaw(t, r.addr, "GET "+url+" HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != want || strings.Contains(body, "pw") {
			t.Errorf("%s: %s %q, want %d", url, resp.Status, body, want)
		}
	}
}

func TestAForwardListenerIsTheHost(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", "https://"+req.Host+"/uploads/1?state=x")
		w.Header().Set("Content-Location", "https://elsewhere.example/")
		naming(w, req)
	})
	r.list(host, "a")
	addr := r.forward(host)
	resp, body := askRaw(t, addr, "GET /v2/?q HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	if resp.StatusCode != 200 || body != "a asks "+host+"/v2/?q" {
		t.Errorf("%s %q", resp.Status, body)
	}
	if got, want := resp.Header.Get("Location"), "http://"+addr+"/uploads/1?state=x"; got != want {
		t.Errorf("Location %q, want %q: the client cannot go to the host itself", got, want)
	}
	if got := resp.Header.Get("Content-Location"); got != "https://elsewhere.example/" {
		t.Errorf("Content-Location %q was changed", got)
	}
}

func TestAForwardListenerServesNoPageOfAnotherSite(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the host") })
	r.list(host, "a")
	addr := r.forward(host)
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: evil.example:5001\r\n\r\n":                                               421, // DNS rebinding
		"GET / HTTP/1.1\r\nHost: " + addr + "\r\nSec-Fetch-Site: cross-site\r\n\r\n":                      421,
		"POST / HTTP/1.1\r\nHost: " + addr + "\r\nSec-Fetch-Site: same-site\r\nContent-Length: 0\r\n\r\n": 421,
		"GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                 421,
		"CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                     421,
		// Chromium says nothing but the origin when a page opens a WebSocket.
		"GET / HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: https://evil.example\r\n" + webSocket + "\r\n":      421,
		"GET / HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: http://127.0.0.1:1\r\n" + webSocket + "\r\n":        421,
		"GET / HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: null\r\n" + webSocket + "\r\n":                      421,
		"POST / HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n": 421,
	} {
		if resp, _ := askRaw(t, addr, request); resp.StatusCode != want {
			t.Errorf("%q: %s, want %d", request, resp.Status, want)
		}
	}
}

const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"

// Libraries for WebSockets name the origin that they were told to go to.
func TestAForwardListenerServesItsOwnOrigin(t *testing.T) {
	r := newRig(t)
	host := r.server(naming)
	r.list(host, "a")
	addr := r.forward(host)
	for _, origin := range []string{"http://" + addr, "HTTP://" + strings.ToUpper(addr), "https://" + host, "https://" + strings.ToUpper(host), "https://" + addr} {
		if resp, body := askRaw(t, addr, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nOrigin: "+origin+"\r\n\r\n"); resp.StatusCode != http.StatusOK {
			t.Errorf("Origin %s: %s %s", origin, resp.Status, body)
		}
	}
}

func TestAForwardListenerWithoutADirectorySaysSo(t *testing.T) {
	r := newRig(t)
	addr := r.forward("registry.example:443")
	resp, body := askRaw(t, addr, "GET / HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "no directory under certs.d") {
		t.Errorf("%s %q", resp.Status, body)
	}
}

// A testGate admits by the answer of a function.
type testGate func(Ask) *Denial

func (g testGate) Arrived(net.Conn) Visitor               { return g }
func (g testGate) May(_ context.Context, ask Ask) *Denial { return g(ask) }
func (g testGate) UID() (uint32, bool)                    { return 65534, true }
func (g testGate) Name() string                           { return "" }

func TestTheGateIsAskedAtEveryDoor(t *testing.T) {
	var mu sync.Mutex
	var asked []Ask
	var denial *Denial
	r := newRig(t, func(c *Config) {
		c.Gate = testGate(func(a Ask) *Denial {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, a)
			return denial
		})
	})
	answer := func(d *Denial) {
		mu.Lock()
		defer mu.Unlock()
		denial, asked = d, nil
	}
	reached := 0
	host := r.server(func(http.ResponseWriter, *http.Request) { reached++ })
	r.list(host, "a")
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer plain.Close()
	other := strings.TrimPrefix(plain.URL, "http://")
	forward := r.forward(host)
	const credentials = "Basic dTpw"
	ways := []struct {
		door, addr, request string
		want                Ask
	}{
		{"CONNECT, listed", r.addr, "CONNECT " + host + " HTTP/1.1\r\nHost: x\r\n", Ask{UseIdentity, host, credentials}},
		{"CONNECT, tunnel", r.addr, "CONNECT " + other + " HTTP/1.1\r\nHost: x\r\n", Ask{UseTunnel, other, credentials}},
		{"absolute, listed", r.addr, "GET http://" + host + "/ HTTP/1.1\r\nHost: x\r\n", Ask{UseIdentity, host, credentials}},
		{"absolute, other", r.addr, "GET http://" + other + "/ HTTP/1.1\r\nHost: x\r\n", Ask{UseTunnel, other, credentials}},
		{"forward", forward, "GET / HTTP/1.1\r\nHost: localhost\r\n", Ask{UseIdentity, host, credentials}},
	}
	for _, w := range ways {
		request := w.request + "Proxy-Authorization: " + credentials + "\r\n\r\n"
		for _, d := range []struct {
			denial Denial
			status int
			field  string
		}{
			{Denial{Text: "not you", Hint: "ask"}, 403, ""},
			{Denial{Text: "not you", Hint: "ask", Challenge: true}, 407, "Proxy-Authenticate"},
			{Denial{Text: "not now", Hint: "wait", Retry: 1500 * time.Millisecond}, 429, "Retry-After"},
		} {
			answer(&d.denial)
			resp, body := askRaw(t, w.addr, request)
			if resp.StatusCode != d.status || !strings.Contains(body, d.denial.Text) || d.field != "" && resp.Header.Get(d.field) == "" {
				t.Errorf("%s: %s %q %v, want %d", w.door, resp.Status, body, resp.Header, d.status)
			}
			if !slices.Equal(asked, []Ask{w.want}) {
				t.Errorf("%s: the gate was asked %v, want %v", w.door, asked, w.want)
			}
		}
	}
	if reached > 0 {
		t.Errorf("%d requests got through", reached)
	}
	// A connection that was let in is asked again for each request.
	answer(nil)
	conn, br := r.secure(host, "localhost")
	answer(&Denial{Text: "not any more", Hint: "ask"})
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %v", resp, err)
	}
	if entry := r.logged("request refused"); entry["uid"] != uint64(65534) && entry["uid"] != uint32(65534) {
		t.Errorf("logged %v", entry)
	}
}

// A uidGate admits everybody as one user.
type uidGate struct{ uid atomic.Uint32 }

func (g *uidGate) Arrived(net.Conn) Visitor         { return g }
func (g *uidGate) May(context.Context, Ask) *Denial { return nil }
func (g *uidGate) UID() (uint32, bool)              { return g.uid.Load(), true }
func (g *uidGate) Name() string                     { return "" }

// What other users have carried to this machine is not to count as ours there; a connection
// that was made for ourselves is not lent to them either.
func TestConnectionsForOthersAreDisowned(t *testing.T) {
	var disowned atomic.Int32
	gate := &uidGate{}
	r := newRig(t, func(c *Config) {
		c.Gate = gate
		c.Disown = func(network string, _ syscall.RawConn) error {
			if network != "tcp4" {
				t.Errorf("network %s", network)
			}
			disowned.Add(1)
			return nil
		}
	})
	listed := r.server(naming)
	r.list(listed, "a")
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	other := strings.TrimPrefix(plain.URL, "http://")
	for _, test := range []struct {
		uid     uint32
		request string
		want    int32
	}{
		{0, "CONNECT " + other, 0},
		{uint32(os.Geteuid()), "GET " + plain.URL + "/", 0},
		{65533, "GET " + plain.URL + "/", 1},
		{65533, "GET " + plain.URL + "/", 0}, // the connection is kept
		{65533, "CONNECT " + other, 1},
		{65533, "GET http://" + listed + "/", 0}, // under its own identity
	} {
		gate.uid.Store(test.uid)
		disowned.Store(0)
		conn := r.dial()
		_, _ = io.WriteString(conn, test.request+" HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: strings.Fields(test.request)[0]})
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK && !strings.HasPrefix(test.request, "CONNECT") {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
		_ = conn.Close()
		if got := disowned.Load(); got != test.want || resp.StatusCode != http.StatusOK {
			t.Errorf("uid %d, %s: %s, %d connections disowned, want %d", test.uid, test.request, resp.Status, got, test.want)
		}
	}
}

func TestWhatCameBackIsALoop(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the host") })
	r.list(host, "a")
	via := "Via: 1.0 fred, 1.1 " + r.proxy.pseudonym + " (a comment)\r\n\r\n"
	forward := r.forward(host)
	for _, w := range [][2]string{
		{r.addr, "CONNECT " + host + " HTTP/1.1\r\nHost: x\r\n"},
		{r.addr, "CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n"},
		{r.addr, "GET http://" + host + "/ HTTP/1.1\r\nHost: x\r\n"},
		{forward, "GET / HTTP/1.1\r\nHost: localhost\r\n"},
	} {
		if resp, _ := askRaw(t, w[0], w[1]+via); resp.StatusCode != http.StatusLoopDetected {
			t.Errorf("%q: %s", w[1], resp.Status)
		}
	}
	conn, br := r.secure(host, "localhost")
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\n"+via)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("%v, %v", resp, err)
	}
	for _, target := range []string{r.addr, "[::ffff:127.0.0.1]:" + port(r.addr), "0.0.0.0:" + port(r.addr), "localhost:" + port(r.addr)} {
		if resp, _ := askRaw(t, r.addr, "GET http://"+target+"/ HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != http.StatusLoopDetected {
			t.Errorf("%s: %s", target, resp.Status)
		}
	}
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
