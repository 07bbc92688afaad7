package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echo starts a TCP server that sends back what it gets, then ends. It does not
// splice: a test counts the pipes of tunnels.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns sync.WaitGroup
		defer conns.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			})
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestMalformedConnectsNeverDialAnything(t *testing.T) {
	var dials atomic.Int32
	r := newRig(t, func(c *Config) {
		c.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("dialled")
		}
	})
	for _, target := range []string{
		"host", "host:", "host:0", "host:65536", "host:http", ":443", "user@host:443", "host/path:443", "/x", "../x:443",
		"h%6fst:443", "[fe80::1%25eth0]:443", "[::1", "a..b:443", "http://host:443", "127.1:443", "host:443:443", strings.Repeat("a", 300) + ":443",
	} {
		c := r.dial()
		_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: good.example:443\r\n\r\n", target)
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Errorf("CONNECT %.40s: %v", target, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("CONNECT %.40s: %s", target, resp.Status)
		}
	}
	if n := dials.Load(); n != 0 {
		t.Errorf("%d connections were tried", n)
	}
}

func TestARefusedConnectSaysWhyInItsStatusLineItsFieldsAndItsBody(t *testing.T) {
	r := newRig(t)
	r.list("unusable.example:443", "a")
	r.list("forbidden.example:443", "a")
	if err := os.Remove(filepath.Join(r.root, "unusable.example:443", "a.key")); err != nil {
		t.Fatal(err)
	}
	r.reload()
	for _, test := range []struct {
		authority string
		status    int
		kind      string
		says      string
	}{
		{"unusable.example:443", 502, "proxy_configuration_error", "certificate without a key"},
		{"forbidden.example:443", 502, "proxy_configuration_error", "outside the name constraints"},
		{"nobody", 400, "http_request_error", "not of the form host:port"},
		{"localhost:1", 502, "connection_refused", "refuses connections"},
		{r.addr, 508, "proxy_loop_detected", "is this proxy itself"},
		{strings.Replace(r.addr, "127.0.0.1", "localhost", 1), 508, "proxy_loop_detected", "is this proxy itself"},
		{strings.Replace(r.addr, "127.0.0.1", "[::ffff:127.0.0.1]", 1), 508, "proxy_loop_detected", "is this proxy itself"},
		{strings.Replace(r.addr, "127.0.0.1", "0.0.0.0", 1), 508, "proxy_loop_detected", "is this proxy itself"},
	} {
		_, _, resp := r.connect(test.authority)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != test.status {
			t.Errorf("%s: %s, %v; want %d", test.authority, resp.Status, err, test.status)
		}
		field := resp.Header.Get("Proxy-Status")
		shape := regexp.MustCompile(`^certproxy; error=[a-z_]+(; [a-z-]+=[0-9]+)*; details="([^"\\]|\\["\\])*"$`)
		if !shape.MatchString(field) || !strings.Contains(field, "error="+test.kind+";") {
			t.Errorf("%s: Proxy-Status: %s", test.authority, field)
		}
		for where, text := range map[string]string{"status line": resp.Status, "body": string(body)} {
			if !strings.Contains(text, test.says) {
				t.Errorf("%s: the %s does not say %q: %s", test.authority, where, test.says, text)
			}
		}
		if !strings.Contains(string(body), "\nhint: ") {
			t.Errorf("%s: no hint: %s", test.authority, body)
		}
	}
}

func TestAClientThatAsksForJSONGetsTheErrorsOfARegistry(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	_, _ = io.WriteString(c, "CONNECT localhost:1 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(answer), `{"errors":[{"code":"CERTPROXY_CONNECTION_REFUSED","message":"localhost:1 refuses connections; `) {
		t.Errorf("%s, %v", answer, err)
	}
}

func TestUnlistedHostsAreTunnelledOrRefused(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mine") })
	// The client trusts the server's own CA only through the tunnel.
	if got, body := r.do(r.client(1, r.pki), "GET", host, "/", ""); got != 200 || body != "mine" {
		t.Errorf("%d %q", got, body)
	}
	strict := newRig(t, func(c *Config) { c.RefuseUnlisted = func() bool { return true } })
	_, _, resp := strict.connect(host)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Status, "no directory under certs.d") {
		t.Errorf("refused with %s", resp.Status)
	}
}

func TestATunnelCarriesEveryByteAndItsEnd(t *testing.T) {
	r := newRig(t)
	c, br, resp := r.connect(echo(t))
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	sent := make([]byte, 4<<20)
	_, _ = rand.Read(sent)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite() // and still wants the rest
	}()
	got, err := io.ReadAll(br)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
	}
	line := r.logged("tunnel closed")
	if line["bytes_up"] != int64(len(sent)) || line["bytes_down"] != int64(len(sent)) {
		t.Errorf("the log counts %v up and %v down", line["bytes_up"], line["bytes_down"])
	}
}

func TestBytesSentRightBehindConnectAreKept(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	addr := echo(t)
	_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\nearly bytes", addr, addr)
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(answer), "\r\n\r\nearly bytes") {
		t.Errorf("a tunnel: %q, %v", answer, err)
	}

	host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	r.list(host, "a")
	raw := r.dial()
	early := &earlyConn{Conn: raw, first: []byte("CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")}
	secured := tls.Client(early, &tls.Config{ServerName: "localhost", RootCAs: r.leaves.Pool()})
	if err := secured.Handshake(); err != nil {
		t.Errorf("a ClientHello in the segment of its CONNECT: %v", err)
	}
}

// An earlyConn sends its first bytes with the first write, and skips the answer to
// them.
type earlyConn struct {
	net.Conn
	first   []byte
	skipped bool
}

func (c *earlyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(append(c.first, p...))
	n -= len(c.first)
	c.first = nil
	return n, err
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if !c.skipped {
		c.skipped = true
		if _, err := io.ReadFull(c.Conn, make([]byte, len(established))); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func TestAHostThatDoesNotAnswerIsATimeout(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Host = settings(func(s *HostSettings) { s.ConnectTimeout = 50 * time.Millisecond })
		c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}
	})
	_, _, resp := r.connect("far.example:443")
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(resp.Header.Get("Proxy-Status"), "connection_timeout") {
		t.Errorf("a tunnel: %s, %s", resp.Status, resp.Header.Get("Proxy-Status"))
	}
	r.list("far.example:443", "a")
	if got, body := r.get("far.example", "/"); got != http.StatusGatewayTimeout || !strings.Contains(body, "could not be connected to in time") {
		t.Errorf("an intercepted request: %d %q", got, body)
	}
}

// A panic while a connection is served must end that connection and nothing else.
func TestAPanicClosesTheConnection(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.DialContext = func(context.Context, string, string) (net.Conn, error) { panic("test") }
	})
	c := r.dial()
	_, _ = io.WriteString(c, "CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("%q, %v: the socket was left open", answer, err)
	}
	r.logged("panic while serving a connection")
}
