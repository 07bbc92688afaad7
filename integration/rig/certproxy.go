package rig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Options say how to run certproxy serve. The zero value needs nothing.
type Options struct {
	Certs  string   // the root; "" is a new empty one
	Config string   // its configuration file, as YAML; "" is none
	Args   []string // further ones of serve
	State  string   // directory of the local CA; "" is a new one
	Level  string   // of the log; "" is debug, "config" leaves it to the configuration file
	Names  []string // resolve to 127.0.0.1, for certproxy alone
	In     *Network
	Under  []string // the command that runs it: strace -f ..., prlimit ..., env NAME=VALUE
	Killed bool     // the test kills it: how it ends is no matter
}

// A Certproxy is a running certproxy serve.
type Certproxy struct {
	*Daemon
	Addr   string // of its listener
	Certs  string // its root
	CAFile string // what its clients have to trust
	Admin  string // path of its admin socket; empty where Args name another listener
}

// Serve starts certproxy.
func Serve(t testing.TB, o Options) *Certproxy {
	t.Helper()
	needNamespaces(t)
	dir := Dir(t)
	if o.Certs == "" {
		o.Certs = filepath.Join(dir, "certs.d")
		if err := os.Mkdir(o.Certs, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	state := o.State
	if state == "" {
		state = filepath.Join(dir, "state")
	}
	args := append(o.Under, Binary(t), "serve",
		"--listen", "127.0.0.1:0", "--certs", o.Certs, "--state", state, "--admin", "unix:"+filepath.Join(dir, "admin.sock"),
		"--log-format", "json")
	if o.Level == "" {
		o.Level = "debug"
	}
	if o.Level != "config" {
		args = append(args, "--log-level", o.Level)
	}
	args = append(args, o.Args...)
	if o.Config != "" {
		args = append(args, "--config", Write(t, dir, "config.yaml", []byte(o.Config), 0o644))
	}
	secrets := Marked()
	var d *Daemon
	t.Cleanup(func() { // after it was stopped
		if d != nil && !o.Killed {
			endedWell(t, d, secrets)
		}
	})
	d = Start(t, Process{
		Args:  resolving(t, dir, o.Names, args),
		In:    o.In,
		Ready: func(log string) bool { return strings.Contains(log, `"msg":"listening"`) },
	})
	d.name = "certproxy"
	p := &Certproxy{
		Daemon: d,
		Addr:   d.out.lines("listening")[0].Text("addr"),
		Certs:  o.Certs,
		CAFile: filepath.Join(state, "ca.crt"),
		Admin:  filepath.Join(dir, "admin.sock"),
	}
	// Keys come and go while a test runs: those at its beginning and at its end count.
	p.addKeys(secrets, o, state)
	t.Cleanup(func() { // before it is stopped
		if !o.Killed { // it may not be there to be asked
			p.addKeys(secrets, o, state)
			p.keepsSecrets(t, secrets)
		}
	})
	return p
}

// endedWell checks what must be so after every test, whatever it showed.
func endedWell(t testing.TB, d *Daemon, secrets *Secrets) {
	t.Helper()
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("certproxy ended with %v after SIGTERM; want exit status 0", d.cmd.ProcessState)
	}
	log := d.Log()
	for _, bad := range []string{"panic", "DATA RACE"} {
		if at := strings.Index(log, bad); at >= 0 {
			t.Errorf("certproxy's log has %q: %s", bad, head(log[at:]))
		}
	}
	for _, found := range secrets.In(log) {
		t.Errorf("certproxy's log has %s", found)
	}
}

// Binary is the certproxy to test.
func Binary(t testing.TB) string {
	t.Helper()
	bin := os.Getenv("CERTPROXY_BIN")
	if bin == "" {
		t.Fatal("CERTPROXY_BIN is not set: TestMain does that")
	}
	return bin
}

// resolving returns the command that runs args where the names are 127.0.0.1: with
// an /etc/hosts of its own, which no other process sees. Go clients never use a
// proxy for localhost, and dockerd verifies nothing on 127.0.0.0/8, so only
// certproxy may be able to resolve the names.
func resolving(t testing.TB, dir string, names, args []string) []string {
	t.Helper()
	hosts := Write(t, dir, "hosts", []byte("127.0.0.1 localhost "+strings.Join(names, " ")+"\n"), 0o644)
	script := `mount --bind "$0" /etc/hosts && exec "$@"`
	return append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, hosts}, args...)
}

// URL is what clients call HTTPS_PROXY.
func (p *Certproxy) URL() string { return "http://" + p.Addr }

// Listening waits until certproxy has told of n listeners, and returns their addresses
// in the order of the command line, --forward after --listen; the first is Addr.
func (p *Certproxy) Listening(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	Eventually(t, fmt.Sprintf("certproxy listens at %d addresses", n), func() bool {
		addrs = nil
		for _, line := range p.Lines("listening") {
			addrs = append(addrs, line.Text("addr"))
		}
		return len(addrs) >= n
	})
	return addrs
}

// Lines returns the log lines with this message so far, or all if it is "".
func (p *Certproxy) Lines(msg string) []Line { return p.out.lines(msg) }

// WaitLine waits until a log line with this message matches.
func (p *Certproxy) WaitLine(t testing.TB, msg string, match func(Line) bool) Line {
	t.Helper()
	var found Line
	Eventually(t, fmt.Sprintf("certproxy logs a matching %q", msg), func() bool {
		for _, line := range p.Lines(msg) {
			if match(line) {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

// Client returns an HTTP/1.1 client that goes through certproxy and trusts its CA. Its
// requests have credentials, a cookie and a query, see [Marked].
func (p *Certproxy) Client(t testing.TB) *http.Client { return p.client(t, false) }

// ClientH2 is [Certproxy.Client] over HTTP/2.
func (p *Certproxy) ClientH2(t testing.TB) *http.Client { return p.client(t, true) }

func (p *Certproxy) client(t testing.TB, h2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{
		Proxy:               http.ProxyURL(&url.URL{Scheme: "http", Host: p.Addr}),
		TLSClientConfig:     &tls.Config{RootCAs: p.Roots(t)},
		Protocols:           protocols,
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: marking{transport}, Timeout: time.Minute}
}

// Roots are what a client of certproxy trusts: its CA alone.
func (p *Certproxy) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(Read(t, p.CAFile)) {
		t.Fatalf("no certificate in %s", p.CAFile)
	}
	return roots
}

// Resolving returns the command that runs args where the names are 127.0.0.1.
func Resolving(t testing.TB, names, args []string) []string {
	t.Helper()
	needNamespaces(t)
	return resolving(t, Dir(t), names, args)
}
