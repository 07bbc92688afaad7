package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A configureRig is serve with its configuration file, in front of a server that
// answers 418 to the first pair and 200 to the second.
type configureRig struct {
	t      *testing.T
	server string // its host:port
	file   string
	addr   string // the proxy's
	stop   context.CancelFunc
	ended  chan error // serve's error; put back by who takes it
	client *http.Client
	logs   *observer.ObservedLogs
}

func newConfigureRig(t *testing.T, text string, optional bool) *configureRig {
	t.Helper()
	dir := t.TempDir()
	issuer := throwaway.NewCA("server CA")
	first, second := throwaway.SelfSigned(throwaway.Options{Name: "a"}), throwaway.SelfSigned(throwaway.Options{Name: "b"})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || !r.TLS.PeerCertificates[0].Equal(second.X509) {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	server.TLS = &tls.Config{
		ClientAuth:   tls.RequestClientCert,
		Certificates: []tls.Certificate{issuer.Issue(throwaway.Options{Name: "server", Hosts: []string{"127.0.0.1"}}).TLS()},
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	level := zap.NewAtomicLevel()
	core, logs := observer.New(level)
	r := &configureRig{t: t, server: server.Listener.Addr().String(), file: filepath.Join(dir, "config.yaml"), logs: logs}
	r.write(text)

	root, state := filepath.Join(dir, "certs.d"), filepath.Join(dir, "state")
	issuer.WriteRoot(filepath.Join(root, r.server), "ca")
	first.WritePair(filepath.Join(root, r.server), "a")
	second.WritePair(filepath.Join(root, r.server), "b")
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, serveOptions{
			from: sources{file: configFile{path: r.file, optional: optional}, flags: []config.Setting{
				preset("certs", root), preset("state", state),
				preset("listen", "127.0.0.1:0"),
			}},
			log: zap.New(core), level: level, listening: func(addr net.Addr) { listening <- addr },
		})
	}()
	var addr net.Addr
	select {
	case addr = <-listening:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	r.addr, r.stop, r.ended = addr.String(), cancel, ended
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	authority, err := ca.Load(state)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(authority.Certificate())
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: addr.String()}),
		TLSClientConfig: &tls.Config{RootCAs: trusted},
	}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return r
}

func (r *configureRig) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *configureRig) remove() {
	r.t.Helper()
	if err := os.Remove(r.file); err != nil {
		r.t.Fatal(err)
	}
}

// hangup sends a SIGHUP, waits until it is answered, and returns what was logged
// about the configuration meanwhile.
func (r *configureRig) hangup() []observer.LoggedEntry {
	r.t.Helper()
	r.logs.TakeAll()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	// The host directories are read after the configuration.
	until(r.t, "the rescan", func() bool { return r.logs.FilterMessage("reloaded").Len() > 0 })
	return r.logs.Filter(func(e observer.LoggedEntry) bool { return strings.HasPrefix(e.Message, "configuration") }).All()
}

// answers checks which status a request gets.
func (r *configureRig) answers(want int) {
	r.t.Helper()
	resp, err := r.client.Get("https://" + r.server + "/")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		r.t.Errorf("status %d, want %d", resp.StatusCode, want)
	}
}

// said checks that one line was logged, and returns its fields.
func (r *configureRig) said(lines []observer.LoggedEntry, message string) map[string]any {
	r.t.Helper()
	if len(lines) != 1 || lines[0].Message != message {
		r.t.Fatalf("logged %+v, want one line %q", lines, message)
	}
	return lines[0].ContextMap()
}

const (
	firstPair  = http.StatusTeapot
	secondPair = http.StatusOK
)

func TestASIGHUPPutsTheConfigurationInPlace(t *testing.T) {
	r := newConfigureRig(t, "", false)
	r.answers(firstPair)
	r.write("fallback_statuses: [4xx]\n")
	r.answers(firstPair)
	if got := r.said(r.hangup(), "configuration reloaded")["changed_for_all"]; fmt.Sprint(got) != "[fallback_statuses]" {
		t.Errorf("the line says %v changed for all hosts", got)
	}
	r.answers(secondPair)
	if lines := r.hangup(); len(lines) != 0 {
		t.Errorf("nothing has changed, but logged is %+v", lines)
	}
	r.write(fmt.Sprintf("fallback_statuses: [4xx]\nhosts:\n  %s:\n    fallback_statuses: []\n", r.server))
	if got := r.said(r.hangup(), "configuration reloaded")["changed"]; fmt.Sprint(got) != "["+r.server+" (fallback_statuses)]" {
		t.Errorf("the line says %v changed", got)
	}
	r.answers(firstPair)
}

func TestAMistakeAtASIGHUPChangesNothing(t *testing.T) {
	r := newConfigureRig(t, "fallback_statuses: [4xx]\n", false)
	mistakes := func(lines []observer.LoggedEntry) []string {
		t.Helper()
		fields := r.said(lines, "configuration not reloaded")
		if lines[0].Level != zap.ErrorLevel || fields["hint"] == "" {
			t.Errorf("logged at %v with the hint %q", lines[0].Level, fields["hint"])
		}
		var told []string
		for _, m := range fields["mistakes"].([]any) {
			told = append(told, m.(string))
		}
		return told
	}
	r.write("fallback_statuses: [403]\ncolour: red\nreplay_limits: 0\n")
	got := mistakes(r.hangup())
	if len(got) != 2 || !strings.HasPrefix(got[0], r.file+":2: unknown key") || !strings.HasPrefix(got[1], r.file+":3: unknown key") {
		t.Errorf("mistakes %q", got)
	}
	r.answers(secondPair)

	r.remove()
	if got := mistakes(r.hangup()); len(got) != 1 || !strings.Contains(got[0], r.file+": no such file") {
		t.Errorf("mistakes %q", got)
	}
	r.answers(secondPair)

	r.write("fallback_statuses: [403]\n")
	r.said(r.hangup(), "configuration reloaded")
	r.answers(firstPair)
}

func TestADefaultFileThatIsRemovedIsTheDefaultAgain(t *testing.T) {
	r := newConfigureRig(t, "fallback_statuses: [4xx]\n", true)
	r.answers(secondPair)
	r.remove()
	if fields := r.said(r.hangup(), "configuration reloaded"); fields["found"] != false {
		t.Errorf("the line says %v", fields)
	}
	r.answers(firstPair)
}

func TestTheLogSaysWhichConfigurationIsInUseFromTheStart(t *testing.T) {
	r := newConfigureRig(t, "hosts: {registry.example: {fallback_statuses: [4xx]}}\n", false)
	fields := r.said(r.logs.FilterMessage("configuration").All(), "configuration")
	if fields["file"] != r.file || fields["found"] != true || fields["hosts"] != int64(1) {
		t.Errorf("the line says %v", fields)
	}
	r.answers(firstPair) // the settings of another host are not this one's
}
