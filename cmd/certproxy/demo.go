package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/throwaway"
	"github.com/certproxy/certproxy/proxy"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Show the main job in a few seconds", Args: noArgs,
		Long: "Start a server that demands a client certificate, a certs.d with a pair it refuses\n" +
			"and one it accepts, the proxy, and an HTTP client that knows nothing of either.\n" +
			"Everything is on loopback and in a temporary directory. It exits 1 if anything\n" +
			"turns out other than it says.",
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), cmd.OutOrStdout()) },
	}
}

// A demonstration is what the steps of the demo share.
type demonstration struct {
	out    io.Writer
	server string // host:port that wants a certificate
	host   string // its host directory
	state  string
	proxy  *url.URL

	mu       sync.Mutex
	attempts []proxy.Attempt // since the last request began
}

func demo(ctx context.Context, out io.Writer) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "certproxy-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	issuer := throwaway.NewCA("demo CA")
	pairA, pairB := issuer.Issue(throwaway.Options{Name: "a"}), issuer.Issue(throwaway.Options{Name: "b"})
	server, err := startDemoServer(issuer, pairB.X509)
	if err != nil {
		return err
	}
	defer server.stop()
	unlisted, err := startDemoServer(issuer, nil)
	if err != nil {
		return err
	}
	defer unlisted.stop()

	root := filepath.Join(dir, "certs.d")
	d := &demonstration{out: out, server: server.addr, host: filepath.Join(root, server.addr), state: filepath.Join(dir, "state")}
	issuer.WriteRoot(d.host, "ca")
	pairA.WritePair(d.host, "a")
	pairB.WritePair(d.host, "b")
	stop, err := d.startProxy(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	d.say("A server at https://%s that wants the client certificate b.", d.server)
	d.say("Without the proxy:")
	if err := d.expect(issuer.X509, nil, d.server, http.StatusForbidden); err != nil {
		return err
	}
	d.say("certs.d/%s holds pair a, which the server refuses, and pair b.\nThrough the proxy, each is tried in alphabetical order:", d.server)
	if err := d.expectThrough(http.StatusOK, "a 403", "b 200"); err != nil {
		return err
	}
	d.say("The next request begins with the pair that was accepted:")
	if err := d.expectThrough(http.StatusOK, "b 200"); err != nil {
		return err
	}
	d.say("rm b.cert b.key, while the proxy runs:")
	if err := errors.Join(os.Remove(filepath.Join(d.host, "b.cert")), os.Remove(filepath.Join(d.host, "b.key"))); err != nil {
		return err
	}
	if err := d.expectThrough(http.StatusForbidden, "a 403"); err != nil {
		return err
	}
	d.say("b.cert and b.key are back, without a restart:")
	pairB.WritePair(d.host, "b")
	if err := d.expectThrough(http.StatusOK, "a 403", "b 200"); err != nil {
		return err
	}
	d.say("A server without a directory is tunnelled: through the proxy, the client sees\nthat server's own certificate.")
	if err := d.expect(issuer.X509, d.proxy, unlisted.addr, http.StatusOK); err != nil {
		return err
	}
	d.say("All of it was as it should be, in %.1f s.", time.Since(began).Seconds())
	return nil
}

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

// expectThrough asks through the proxy until the answer and the attempts are those
// wanted: a change on disk takes a moment to be seen.
func (d *demonstration) expectThrough(status int, attempts ...string) error {
	authority, err := ca.Load(d.state)
	if err != nil {
		return err
	}
	began := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, seen, err := d.get(authority.Certificate(), d.proxy, d.server)
		if err == nil && got == status && fmt.Sprint(seen) == fmt.Sprint(attempts) {
			for i, s := range seen {
				d.say("    attempt %d: pair %s", i+1, s)
			}
			d.say("    GET / answers %d %s (after %d ms)\n", got, http.StatusText(got), time.Since(began).Milliseconds())
			return nil
		}
		if time.Since(began) > 5*time.Second {
			return fmt.Errorf("demo: GET / through the proxy: status %d, attempts %v; expected %d, %v: %w", got, seen, status, attempts, orUnexpected(err))
		}
		<-ticker.C
	}
}

// expect asks once, through a proxy or none, trusting one CA.
func (d *demonstration) expect(trust *x509.Certificate, through *url.URL, addr string, status int) error {
	got, _, err := d.get(trust, through, addr)
	if err != nil || got != status {
		return fmt.Errorf("demo: GET https://%s/: status %d; expected %d: %w", addr, got, status, orUnexpected(err))
	}
	d.say("    GET / answers %d %s\n", got, http.StatusText(got))
	return nil
}

// orUnexpected is for answers that came without an error and are not those expected.
func orUnexpected(err error) error {
	if err == nil {
		return errors.New("the answer is another one")
	}
	return err
}

// get is an HTTP client that knows of nothing but a proxy and a CA to trust.
func (d *demonstration) get(trust *x509.Certificate, through *url.URL, addr string) (int, []string, error) {
	d.mu.Lock()
	d.attempts = nil
	d.mu.Unlock()
	roots := x509.NewCertPool()
	roots.AddCert(trust)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	if through != nil {
		transport.Proxy = http.ProxyURL(through)
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + addr + "/")
	if err != nil {
		return 0, nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	err = errors.Join(err, resp.Body.Close())
	d.mu.Lock()
	defer d.mu.Unlock()
	var seen []string
	for _, a := range d.attempts {
		seen = append(seen, a.Pair+" "+a.Outcome)
	}
	return resp.StatusCode, seen, err
}

// startProxy runs what serve runs, and returns how to stop it.
func (d *demonstration) startProxy(ctx context.Context, root string) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, serveOptions{
			from: sources{flags: []config.Setting{
				preset("certs", root), preset("state", d.state),
				preset("listen", "127.0.0.1:0"),
			}},
			log: zap.NewNop(), level: zap.NewAtomicLevel(),
			listening: func(addr net.Addr) { listening <- addr },
			attempted: func(a proxy.Attempt) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.attempts = append(d.attempts, a)
			},
		})
	}()
	select {
	case addr := <-listening:
		d.proxy = &url.URL{Scheme: "http", Host: addr.String()}
		return func() error { cancel(); return <-ended }, nil
	case err := <-ended:
		cancel()
		return nil, err
	}
}

// A demoServer answers 200 to the client certificate it wants, and 403 to others.
type demoServer struct {
	addr string
	stop func()
}

// startDemoServer starts a server on loopback; want nil wants no certificate.
func startDemoServer(issuer *throwaway.Certificate, want *x509.Certificate) (*demoServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{issuer.Issue(throwaway.Options{Name: "server", Hosts: []string{"localhost"}}).TLS()},
	}
	if want != nil {
		config.ClientAuth = tls.RequestClientCert
	}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if want != nil && (len(r.TLS.PeerCertificates) == 0 || !r.TLS.PeerCertificates[0].Equal(want)) {
				w.WriteHeader(http.StatusForbidden)
			}
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(tls.NewListener(l, config)) // ends when it is stopped
	}()
	return &demoServer{addr: "localhost:" + port, stop: func() { _ = server.Close(); <-done }}, nil
}
