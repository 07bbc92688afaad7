package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a running proxy over a certs.d tree on disk, with a CA of its own for
// leaves and one for servers and client certificates.
type rig struct {
	t      testing.TB
	root   string // of host directories
	store  *certs.Store
	proxy  *Proxy
	addr   string // the proxy's
	leaves *throwaway.Certificate
	pki    *throwaway.Certificate
	logs   *observer.ObservedLogs

	mu       sync.Mutex
	attempts []string // "pair outcome", in order
}

// newRig starts a proxy; change may alter its configuration.
func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "certs.d"), leaves: throwaway.NewCA("certproxy"), pki: throwaway.NewCA("pki"), logs: logs}
	r.store = certs.NewStore([]certs.Root{certs.Dir(r.root)}, nil)
	config := Config{
		Index: r.store, Leaves: &testLeaves{ca: r.leaves}, Logger: zap.New(core), SystemRoots: x509.NewCertPool(),
		DrainTimeout: 2 * time.Second,
		Attempted: func(a Attempt) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.attempts = append(r.attempts, a.Pair+" "+a.Outcome)
		},
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	if r.proxy, err = New(config); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.proxy.Run(ctx, Door{Listener: l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// testLeaves mints without a cache.
type testLeaves struct{ ca *throwaway.Certificate }

func (l *testLeaves) Leaf(name string) (*tls.Certificate, error) {
	if strings.HasPrefix(name, "forbidden.") {
		return nil, fmt.Errorf("%s is outside the name constraints", name)
	}
	c := l.ca.Issue(throwaway.Options{Name: name, Hosts: []string{name}}).TLS()
	return &c, nil
}

func (l *testLeaves) Owns(c *x509.Certificate) bool { return c.Equal(l.ca.X509) }

// list writes the host directory of an authority with the rig's CA root and the
// named pairs, each with a certificate whose common name is the pair's.
func (r *rig) list(authority string, pairs ...string) {
	r.t.Helper()
	dir := filepath.Join(r.root, authority)
	r.pki.WriteRoot(dir, "ca")
	for _, name := range pairs {
		r.pki.Issue(throwaway.Options{Name: name}).WritePair(dir, name)
	}
	r.reload()
}

// reload does what the command does after a change on disk.
func (r *rig) reload() {
	r.store.Reload(nil)
	r.proxy.Reloaded()
}

// took returns the attempts made since the last call.
func (r *rig) took() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.attempts
	r.attempts = nil
	return out
}

// server starts a TLS server of the rig's PKI for localhost; change may alter it. It
// asks for a client certificate, and takes any.
func (r *rig) server(h http.HandlerFunc, change ...func(*httptest.Server)) (authority string) {
	r.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{r.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{"localhost", "127.0.0.1"}}).TLS()},
		ClientAuth:   tls.RequestClientCert,
	}
	for _, f := range change {
		f(s)
	}
	s.StartTLS()
	r.t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return "localhost:" + port
}

// client returns an HTTP client that uses the proxy and trusts only its CA. proto is
// 1 for HTTP/1.1, 2 for HTTP/2.
func (r *rig) client(proto int, trust ...*throwaway.Certificate) *http.Client {
	roots := r.leaves.Pool()
	for _, c := range trust {
		roots.AddCert(c.X509)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(proto == 1)
	protocols.SetHTTP2(proto == 2)
	t := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}), TLSClientConfig: &tls.Config{RootCAs: roots},
		Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: time.Second,
	}
	r.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get asks through the proxy over HTTP/1.1 and returns status and body.
func (r *rig) get(authority, path string) (int, string) {
	r.t.Helper()
	return r.do(r.client(1), http.MethodGet, authority, path, "")
}

func (r *rig) do(c *http.Client, method, authority, path, body string) (int, string) {
	r.t.Helper()
	return r.upload(c, method, authority, path, strings.NewReader(body), int64(len(body)))
}

// upload sends a body that the test controls; length -1 is unknown.
func (r *rig) upload(c *http.Client, method, authority, path string, body io.Reader, length int64) (int, string) {
	r.t.Helper()
	if length == 0 {
		body = http.NoBody
	}
	req, err := http.NewRequest(method, "https://"+authority+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.ContentLength = length
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s %s: reading the body: %v", method, path, err)
	}
	return resp.StatusCode, string(data)
}

// dial opens a raw connection to the proxy with a deadline.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// connect sends CONNECT and returns the connection, its reader and the answer.
func (r *rig) connect(authority string) (net.Conn, *bufio.Reader, *http.Response) {
	r.t.Helper()
	c := r.dial()
	_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		r.t.Fatalf("CONNECT %s: %v", authority, err)
	}
	return c, br, resp
}

// secure opens an intercepted connection that speaks HTTP/1.1, with an SNI of choice.
func (r *rig) secure(authority, sni string) (*tls.Conn, *bufio.Reader) {
	r.t.Helper()
	c, _, resp := r.connect(authority)
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("CONNECT %s: %s", authority, resp.Status)
	}
	secured := tls.Client(c, &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := secured.Handshake(); err != nil {
		r.t.Fatalf("handshake for %s: %v", sni, err)
	}
	return secured, bufio.NewReader(secured)
}

// logged waits until a log line with the message has been written, and returns the
// last one's fields. The line of a request comes after its answer.
func (r *rig) logged(message string) map[string]any {
	r.t.Helper()
	var found map[string]any
	eventually(r.t, "a log line "+message, func() bool {
		entries := r.logs.FilterMessage(message).All()
		if len(entries) == 0 {
			return false
		}
		found = entries[len(entries)-1].ContextMap()
		return true
	})
	return found
}

// eventually polls a condition that another goroutine makes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s did not come about within 10 s", what)
		}
	}
}

// settings returns those of every host: the defaults with a change.
func settings(change func(*HostSettings)) func(string) HostSettings {
	s := DefaultHostSettings()
	change(&s)
	return func(string) HostSettings { return s }
}
