package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/throwaway"
	"github.com/certproxy/certproxy/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scene is a machine on which everything works: a server that wants a certificate,
// its host directory, a local CA that the system trusts, a running proxy, and an
// environment that names it. A test breaks one thing.
type scene struct {
	t      *testing.T
	pki    *throwaway.Certificate // of the server and its clients
	root   string                 // of host directories
	host   string                 // registry.example:PORT; its name leads to the server
	dir    string                 // its directory
	server *httptest.Server
	state  string
	env    map[string]string
	system *x509.CertPool
	where  map[string]string // what names lead to, as host:port
	proxy  string            // of the running one
	listen *net.TCPListener
	ask    string // what to check; the host by default
	o      Options
}

// newScene builds it. Each change is made before the server and the proxy start.
func newScene(t *testing.T, change ...func(*scene)) *scene {
	t.Helper()
	base := t.TempDir()
	s := &scene{t: t, pki: throwaway.NewCA("Corp CA"), root: filepath.Join(base, "etc/certs.d"), state: filepath.Join(base, "state"),
		env: map[string]string{}, where: map[string]string{}, system: x509.NewCertPool()}
	authority, err := ca.Create(s.state, ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.system.AddCert(authority.Certificate())
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.TLS = &tls.Config{
		Certificates: []tls.Certificate{s.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{"registry.example"}}).TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: s.pki.Pool(),
	}
	_, port, err := net.SplitHostPort(s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.host = "registry.example:" + port
	s.where[s.host] = s.server.Listener.Addr().String()
	s.dir, s.ask = filepath.Join(s.root, s.host), s.host
	s.pki.WriteRoot(s.dir, "ca")
	s.pki.Issue(throwaway.Options{Name: "alice", NotAfter: time.Now().AddDate(1, 0, 0), Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}).WritePair(s.dir, "client")
	s.o = Options{
		State: s.state, Timeout: 5 * time.Second, Machine: filepath.Join(base, "machine"), ConfigFile: "/etc/certproxy/config.yaml",
		Proxy: proxy.Config{SystemRoots: s.system, Getenv: func(k string) string { return s.env[k] }, DialContext: s.dial},
	}
	s.startProxy(authority)
	for _, f := range change {
		f(s)
	}
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

func (s *scene) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if to, ok := s.where[addr]; ok {
		addr = to
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// startProxy runs a real one, over what the roots hold by then.
func (s *scene) startProxy(authority *ca.CA) {
	s.t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false) // the socket in the kernel's table is another one then
	l, err := config.Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.proxy, s.listen = l.Addr().String(), l.(*net.TCPListener)
	s.o.Listeners, s.env["HTTPS_PROXY"] = []string{s.proxy}, "http://"+s.proxy
	s.runProxy(l, authority, live{s.root})
}

// runProxy runs one over an index.
func (s *scene) runProxy(l net.Listener, authority *ca.CA, index proxy.Index) {
	s.t.Helper()
	p, err := proxy.New(proxy.Config{
		Index: index, Leaves: authority, SystemRoots: s.system, DialContext: s.dial, DrainTimeout: time.Second,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, proxy.Door{Listener: l}) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("proxy: %v", err)
		}
	})
}

// A live index reads the root at each look-up.
type live struct{ root string }

func (l live) Lookup(authority string) (*certs.Host, bool) {
	return certs.NewStore([]certs.Root{certs.Dir(l.root)}, nil).Lookup(authority)
}

// check runs it.
func (s *scene) check() *Report {
	s.t.Helper()
	if s.o.Roots == nil {
		s.o.Roots = []certs.Root{certs.Dir(s.root)}
	}
	if s.ask != "" {
		var err error
		if s.o.Target, err = ParseTarget(s.ask); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := Run(s.t.Context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// serve replaces what the server answers. It asks for a certificate and takes any.
func (s *scene) serve(h func(w http.ResponseWriter, r *http.Request)) {
	s.server.Config.Handler = http.HandlerFunc(h)
	s.server.TLS.ClientAuth = tls.RequestClientCert
}

// write writes a file of the host directory.
func (s *scene) write(name string, data []byte, mode os.FileMode) {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	_ = os.Remove(file)
	if err := os.WriteFile(file, data, mode); err != nil {
		s.t.Fatal(err)
	}
}

// rename moves a file or directory, both below the root.
func (s *scene) rename(from, to string) {
	s.t.Helper()
	to = filepath.Join(s.root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.root, from), to); err != nil {
		s.t.Fatal(err)
	}
}

// replace puts another client pair in place of the one that is there.
func (s *scene) replace(c *throwaway.Certificate) { c.WritePair(s.dir, "client") }

// port is the host's.
func (s *scene) port() string { _, port := split(s.host); return port }

// wellFormed checks what holds for each report: every cure is shell that parses, no
// finding is without one, and nothing secret is shown.
func (s *scene) wellFormed(r *Report) {
	s.t.Helper()
	for _, f := range r.Findings {
		if f.Level != OK && f.Fix == "" && f.Advice == "" {
			s.t.Errorf("nobody is told what to do about %+v", f)
		}
		if f.About == "" || f.Text == "" || strings.Contains(f.Text, "\n") {
			s.t.Errorf("finding %+v is not about something in one line", f)
		}
		if strings.Contains(f.Fix, "renegotiation: true") {
			continue // YAML
		}
		if out, err := exec.Command("sh", "-n", "-c", f.Fix).CombinedOutput(); err != nil {
			s.t.Errorf("sh does not understand %q: %s", f.Fix, out)
		}
	}
	var b strings.Builder
	if err := r.Print(&b, Style{}); err != nil {
		s.t.Fatal(err)
	}
	if secret := regexp.MustCompile(`PRIVATE KEY|hunter2|\x1b`).FindString(b.String()); secret != "" {
		s.t.Errorf("the report shows %q:\n%s", secret, b.String())
	}
	if s.t.Failed() || testing.Verbose() {
		s.t.Log("\n" + b.String())
	}
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s\n  fix: %s\n  hint: %s", f.Level, f.About, f.Text, f.Fix, f.Advice)
}

// create makes a local CA that the system trusts.
func (s *scene) create(dir string) {
	s.t.Helper()
	authority, err := ca.Create(dir, ca.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.system.AddCert(authority.Certificate())
}

// disown makes the proxy another user's, as far as the kernel's table of sockets shows.
func (s *scene) disown() {
	s.t.Helper()
	if os.Geteuid() != 0 {
		s.t.Skip("PREREQUISITE MISSING: root, to give a socket away; run the tests as root")
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(filepath.Dir(s.root))), 0o755); err != nil { // testing's own
		s.t.Fatal(err)
	}
	f, err := s.listen.File()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Chown(65534, 65534); err != nil {
		s.t.Fatal(err)
	}
}
