//go:build linux

package listen

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// files are the files of a TLS listener, in a directory of the test.
type files struct {
	Certificates
	dir string
	ca  *throwaway.Certificate
}

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{dir: t.TempDir(), ca: throwaway.NewCA("servers")}
	f.Cert, f.Key = f.dir+"/tls.crt", f.dir+"/tls.key"
	f.put(t, f.server("first"))
	return f
}

func (f *files) server(name string) *throwaway.Certificate {
	return f.ca.Issue(throwaway.Options{Name: name, Hosts: []string{"127.0.0.1"}})
}

func (f *files) put(t *testing.T, c *throwaway.Certificate) {
	t.Helper()
	write(t, f.Cert, c.ChainPEM())
	write(t, f.Key, c.KeyPEM())
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *files) reloader(t *testing.T, now time.Time) *reloader {
	t.Helper()
	first, err := f.load(now)
	if err != nil {
		t.Fatal(err)
	}
	return newReloader(f.Certificates, first, now)
}

func named(config *tls.Config) string { return config.Certificates[0].Leaf.Subject.CommonName }

// shake makes one handshake with a listener. It returns what each side knows of the other.
func shake(t *testing.T, l net.Listener, client *tls.Config) (server, seen tls.ConnectionState, err error) {
	t.Helper()
	serverEnd := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			serverEnd <- err
			return
		}
		defer c.Close()
		secured, ok := c.(*tls.Conn)
		if !ok {
			serverEnd <- fmt.Errorf("connection is %T", c)
			return
		}
		if err := secured.Handshake(); err != nil {
			serverEnd <- err
			return
		}
		server = secured.ConnectionState()
		_, err = secured.Write([]byte("x")) // brings the ticket
		serverEnd <- err
	}()
	raw, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, client)
	err = c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
		seen = c.ConnectionState()
	}
	c.Close()
	return server, seen, errors.Join(err, <-serverEnd)
}

func TestTLSListener(t *testing.T) {
	f := newFiles(t)
	for _, text := range []string{"tls:127.0.0.1:0", "tls:unix:" + f.dir + "/a.sock"} {
		l := open1(t, text, Options{Certificates: f.Certificates})
		if want := "tls:" + strings.TrimPrefix(mustParse(t, text).String(), "tls:"); text != "tls:127.0.0.1:0" && l.Address() != want {
			t.Errorf("Address = %s", l.Address())
		}
		client := &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1", NextProtos: []string{"h2", "http/1.1"}}
		server, seen, err := shake(t, l, client)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if seen.NegotiatedProtocol != "http/1.1" || seen.Version != tls.VersionTLS13 {
			t.Errorf("%s: %s over %s", text, seen.NegotiatedProtocol, tls.VersionName(seen.Version))
		}
		if name := ClientName(server); name != "" {
			t.Errorf("%s: a client without a certificate is %q", text, name)
		}
		client.MaxVersion = tls.VersionTLS11
		if _, _, err := shake(t, l, client); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("%s: TLS 1.1: %v", text, err)
		}
		client.MaxVersion = tls.VersionTLS12
		if _, _, err := shake(t, l, client); err != nil {
			t.Errorf("%s: TLS 1.2: %v", text, err)
		}
		client.NextProtos = []string{"h2"}
		if _, _, err := shake(t, l, client); err == nil {
			t.Errorf("%s: HTTP/2 was agreed on", text)
		}
	}
}

func TestTLSOfAPassedSocket(t *testing.T) {
	f := newFiles(t)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := open1(t, "tls:systemd:gateway", Options{Certificates: f.Certificates, Passed: []Passed{{"gateway", raw}}})
	if _, _, err := shake(t, l, &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1"}); err != nil {
		t.Error(err)
	}
	if l.Address() != "tls:"+raw.Addr().String() {
		t.Errorf("Address = %s", l.Address())
	}
}

func TestClientCA(t *testing.T) {
	f := newFiles(t)
	users := throwaway.NewCA("users")
	f.ClientCA = f.dir + "/clients.pem"
	write(t, f.ClientCA, append([]byte("what follows is ours\n"), users.CertPEM()...))
	l := open1(t, "tls:127.0.0.1:0", Options{Certificates: f.Certificates})
	for name, c := range map[string]struct {
		cert *throwaway.Certificate
		ok   bool
	}{
		"none":            {nil, false},
		"good":            {users.Issue(throwaway.Options{Name: "alice"}), true},
		"another CA's":    {throwaway.NewCA("users").Issue(throwaway.Options{Name: "alice"}), false},
		"self-signed":     {throwaway.SelfSigned(throwaway.Options{Name: "alice"}), false},
		"for servers":     {users.Issue(throwaway.Options{Name: "alice", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), false},
		"expired":         {users.Issue(throwaway.Options{Name: "alice", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}), false},
		"the server's CA": {f.ca.Issue(throwaway.Options{Name: "alice"}), false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1", MaxVersion: version}
			if c.cert != nil {
				pair := c.cert.TLS()
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			server, _, err := shake(t, l, client)
			if (err == nil) != c.ok {
				t.Errorf("%s, %s: %v", name, tls.VersionName(version), err)
			}
			if got := ClientName(server); c.ok && got != "alice" || !c.ok && got != "" {
				t.Errorf("%s, %s: ClientName = %q", name, tls.VersionName(version), got)
			}
		}
	}
}

// A ticket is as good as the certificate it was given for: it must not outlive its CA.
func TestTicketsDoNotSurviveTheClientCA(t *testing.T) {
	f := newFiles(t)
	users := throwaway.NewCA("users")
	f.ClientCA = f.dir + "/clients.pem"
	write(t, f.ClientCA, users.CertPEM())
	var clock atomic.Int64
	begin := time.Now()
	config := f.reloader(t, begin).config(func() time.Time { return begin.Add(time.Duration(clock.Load())) })
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		write(t, f.ClientCA, users.CertPEM())
		clock.Add(int64(checkEvery))
		l := tls.NewListener(mustListen(t), config)
		client := &tls.Config{
			RootCAs: f.ca.Pool(), ServerName: "127.0.0.1", MaxVersion: version,
			Certificates: []tls.Certificate{users.Issue(throwaway.Options{Name: "alice"}).TLS()}, ClientSessionCache: tls.NewLRUClientSessionCache(9),
		}
		for range 2 {
			server, _, err := shake(t, l, client)
			if err != nil {
				t.Fatal(err)
			}
			if server.DidResume { // so none can survive, whatever crypto/tls looks at again
				t.Errorf("%s: a ticket was given for a client certificate", tls.VersionName(version))
			}
		}
		write(t, f.ClientCA, throwaway.NewCA("others").CertPEM())
		clock.Add(int64(checkEvery))
		if server, _, err := shake(t, l, client); err == nil {
			t.Errorf("%s: let in without its CA: resumed %v", tls.VersionName(version), server.DidResume)
		}
	}
}

// Without client certificates a ticket says nothing, and saves a handshake.
func TestTicketsSurviveAReload(t *testing.T) {
	f := newFiles(t)
	var clock atomic.Int64
	begin := time.Now()
	l := tls.NewListener(mustListen(t), f.reloader(t, begin).config(func() time.Time { return begin.Add(time.Duration(clock.Load())) }))
	client := &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(9)}
	for i := range 3 {
		server, _, err := shake(t, l, client)
		if err != nil || server.DidResume != (i > 0) {
			t.Errorf("handshake %d: resumed %v, %v", i, server.DidResume, err)
		}
		f.put(t, f.server("next"))
		clock.Add(int64(checkEvery))
	}
}

func mustListen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestCertificatesTeach(t *testing.T) {
	hour := time.Hour
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	locked, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), []byte("secret"), x509.PEMCipherAES256) //nolint:staticcheck // what old openssl writes
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(f *files)
		want  []string
	}{
		"no certificate": {func(f *files) { os.Remove(f.Cert) }, []string{"certificate CERT cannot be read: no such file or directory; see whether the path is right"}},
		"no key":         {func(f *files) { os.Remove(f.Key) }, []string{"key KEY cannot be read"}},
		"directory":      {func(f *files) { f.Cert = f.dir }, []string{"is not a regular file"}},
		"fifo":           {func(f *files) { f.Key = f.dir + "/p"; _ = syscall.Mkfifo(f.Key, 0o600) }, []string{"is not a regular file"}},
		"huge":           {func(f *files) { write(t, f.Cert, make([]byte, maxFile+1)) }, []string{"certificate CERT is larger than 1 MiB"}},
		"empty":          {func(f *files) { write(t, f.Cert, nil) }, []string{"certificate CERT has no PEM certificate"}},
		"DER":            {func(f *files) { write(t, f.Cert, f.ca.X509.Raw) }, []string{"openssl x509 -inform der"}},
		"garbage in PEM": {func(f *files) {
			write(t, f.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
		}, []string{"certificate CERT cannot be used: "}},
		"swapped":             {func(f *files) { f.Cert, f.Key = f.Key, f.Cert }, []string{"it holds a key: name the certificate with --listen-cert"}},
		"certificate for key": {func(f *files) { f.Key = f.Cert }, []string{"has no PEM private key"}},
		"mismatch":            {func(f *files) { write(t, f.Key, f.server("x").KeyPEM()) }, []string{"key KEY does not belong to the first certificate in CERT"}},
		"CA first":            {func(f *files) { write(t, f.Cert, append(f.ca.CertPEM(), must(os.ReadFile(f.Cert))...)) }, []string{"the server's own certificate before its intermediates"}},
		"encrypted":           {func(f *files) { write(t, f.Key, pem.EncodeToMemory(locked)) }, []string{"key KEY is encrypted", "openssl pkey"}},
		"encrypted PKCS #8": {func(f *files) {
			write(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
		}, []string{"key KEY is encrypted"}},
		"garbage for a key": {func(f *files) {
			write(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
		}, []string{"key KEY cannot be read as one"}},
		"broken-off chain": {func(f *files) { write(t, f.Cert, append(must(os.ReadFile(f.Cert)), f.ca.CertPEM()[:200]...)) }, []string{"certificate CERT has a certificate that is not whole"}},
		"expired": {func(f *files) {
			f.put(t, f.ca.Issue(throwaway.Options{NotBefore: time.Now().Add(-2 * hour), NotAfter: time.Now().Add(-hour)}))
		}, []string{"certificate CERT expired at ", "renew it"}},
		"not yet valid":   {func(f *files) { f.put(t, f.ca.Issue(throwaway.Options{NotBefore: time.Now().Add(hour)})) }, []string{"certificate CERT is not valid before ", "clock"}},
		"no client CA":    {func(f *files) { f.ClientCA = f.dir + "/none" }, []string{"client CA ", "cannot be read"}},
		"empty client CA": {func(f *files) { f.ClientCA = f.Key }, []string{"client CA KEY has no PEM certificate"}},
		"broken-off client CA": {func(f *files) {
			f.ClientCA = f.dir + "/ca"
			write(t, f.ClientCA, append(f.ca.CertPEM(), f.ca.CertPEM()[:99]...))
		}, []string{"not whole"}},
		"garbage client CA": {func(f *files) {
			f.ClientCA = f.dir + "/ca"
			write(t, f.ClientCA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
		}, []string{"certificate 1 cannot be read"}},
		"half named": {func(f *files) { f.Key = "" }, []string{"without a certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFiles(t)
			names := strings.NewReplacer("CERT", f.Cert, "KEY", f.Key)
			c.spoil(f)
			wants := []string{"cannot listen on tls:127.0.0.1:0"}
			for _, want := range c.want {
				wants = append(wants, names.Replace(want))
			}
			refused(t, "tls:127.0.0.1:0", Options{Certificates: f.Certificates}, wants...)
		})
	}
	if err := readError("key", "/k", &os.PathError{Op: "open", Path: "/k", Err: syscall.EACCES}); err.Error() !=
		"key /k cannot be read: permission denied; let certproxy's user read it, by its group or with LoadCredential= in the unit" {
		t.Error(err)
	}
}

func TestCertificateWithByteOrderMark(t *testing.T) {
	f := newFiles(t)
	write(t, f.Cert, append([]byte("\xef\xbb\xbf"), must(os.ReadFile(f.Cert))...))
	if _, err := f.load(time.Now()); err != nil {
		t.Error(err)
	}
}

// Without a TLS listener nobody looks at the files.
func TestCertificatesAreReadOnlyForTLS(t *testing.T) {
	open1(t, "127.0.0.1:0", Options{Certificates: Certificates{Cert: "/none", Key: "/none"}})
}

// told counts what a reloader says.
type told struct {
	mu       sync.Mutex
	warnings []string
	reloads  int
}

func (f *files) listen() *told {
	w := &told{}
	f.Warn = func(err error) { w.mu.Lock(); defer w.mu.Unlock(); w.warnings = append(w.warnings, err.Error()) }
	f.Reloaded = func() { w.mu.Lock(); defer w.mu.Unlock(); w.reloads++ }
	return w
}

func (w *told) is(t *testing.T, warnings, reloads int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.warnings) != warnings || w.reloads != reloads {
		t.Errorf("%d warnings and %d reloads, want %d and %d: %s", len(w.warnings), w.reloads, warnings, reloads, strings.Join(w.warnings, "\n"))
	}
}

func TestReload(t *testing.T) {
	f := newFiles(t)
	w := f.listen()
	now := time.Now()
	r := f.reloader(t, now)
	step := func(want string, warnings, reloads int) {
		t.Helper()
		now = now.Add(checkEvery)
		if got := named(r.at(now)); got != want {
			t.Errorf("it shows %q, want %q", got, want)
		}
		w.is(t, warnings, reloads)
	}
	step("first", 0, 0)

	f.put(t, f.server("second"))
	if got := named(r.at(now.Add(checkEvery - 1))); got != "first" {
		t.Errorf("it looked again within %v, and shows %q", checkEvery, got)
	}
	step("second", 0, 1)

	third := f.server("third")
	write(t, f.Key, third.KeyPEM()) // the key first
	step("second", 1, 1)
	step("second", 1, 1)
	write(t, f.Cert, third.ChainPEM())
	step("third", 1, 2)

	fourth := f.server("fourth")
	write(t, f.Cert, fourth.ChainPEM()) // the certificate first
	step("third", 2, 2)
	write(t, f.Cert, fourth.ChainPEM()[:300]) // and then half of it
	step("third", 3, 2)
	write(t, f.Cert, fourth.ChainPEM())
	step("third", 3, 2) // told before
	write(t, f.Key, fourth.KeyPEM())
	step("fourth", 3, 3)

	os.Remove(f.Cert)
	step("fourth", 4, 3)
	write(t, f.Cert, fourth.ChainPEM())
	step("fourth", 4, 3) // the same again
	os.Remove(f.Cert)
	step("fourth", 5, 3) // was good between, so it is told again

	// An older one, with an older time: cp -p, or a backup that is put back.
	old := now.Add(-999 * time.Hour)
	f.put(t, third)
	for _, file := range []string{f.Cert, f.Key} {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	step("third", 5, 4)

	now = now.Add(-time.Hour) // the clock is set back
	f.put(t, f.server("fifth"))
	step("fifth", 5, 5)

	f.put(t, f.ca.Issue(throwaway.Options{Name: "sixth", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-90 * time.Minute)}))
	now = time.Now()
	step("fifth", 6, 5)
	for _, warning := range w.warnings {
		if !strings.HasSuffix(warning, "; what was read before stays in use") {
			t.Errorf("warning %q", warning)
		}
	}
}

func TestExpiryOfWhatIsInUseIsToldOnce(t *testing.T) {
	f := newFiles(t)
	w := f.listen()
	r := f.reloader(t, time.Now())
	for i := range 3 {
		if got := named(r.at(time.Now().Add(48*time.Hour + time.Duration(i)*time.Second))); got != "first" {
			t.Errorf("it shows %q", got)
		}
	}
	w.is(t, 1, 0)
	if !strings.Contains(w.warnings[0], "expired at") {
		t.Error(w.warnings)
	}
}

// As Kubernetes replaces a secret: the files are links through ..data, which is turned.
func TestReloadOfATurnedLink(t *testing.T) {
	f := newFiles(t)
	dir := t.TempDir()
	put := func(version string) {
		f.server(version).WritePair(filepath.Join(dir, version), "tls")
		if err := os.Symlink(version, dir+"/..tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir+"/..tmp", dir+"/..data"); err != nil {
			t.Fatal(err)
		}
	}
	f.Cert, f.Key = dir+"/tls.crt", dir+"/tls.key"
	if err := errors.Join(os.Symlink("..data/tls.cert", f.Cert), os.Symlink("..data/tls.key", f.Key)); err != nil {
		t.Fatal(err)
	}
	put("..v1")
	w := f.listen()
	now := time.Now()
	r := f.reloader(t, now)
	put("..v2")
	if got := named(r.at(now.Add(checkEvery))); got != "..v2" {
		t.Errorf("it shows %q", got)
	}
	w.is(t, 0, 1)
}

func TestReloadOfTheClientCA(t *testing.T) {
	f := newFiles(t)
	f.ClientCA = f.dir + "/ca"
	alice, bob := throwaway.NewCA("alice"), throwaway.NewCA("bob")
	write(t, f.ClientCA, alice.CertPEM())
	w := f.listen()
	now := time.Now()
	r := f.reloader(t, now)
	write(t, f.ClientCA, nil)
	if !r.at(now.Add(checkEvery)).ClientCAs.Equal(alice.Pool()) {
		t.Error("an empty file took the CA away")
	}
	w.is(t, 1, 0)
	write(t, f.ClientCA, bytes.Join([][]byte{alice.CertPEM(), bob.CertPEM()}, nil))
	both := x509.NewCertPool()
	both.AddCert(alice.X509)
	both.AddCert(bob.X509)
	if !r.at(now.Add(2 * checkEvery)).ClientCAs.Equal(both) {
		t.Error("the added CA is not there")
	}
	w.is(t, 1, 1)
}

// Files are replaced, in either order and half at a time, while clients connect: each
// handshake succeeds, with a certificate that was whole.
func TestReloadUnderHandshakes(t *testing.T) {
	f := newFiles(t)
	w := f.listen()
	var clock atomic.Int64
	begin := time.Now()
	config := f.reloader(t, begin).config(func() time.Time { return begin.Add(time.Duration(clock.Add(int64(checkEvery / 3)))) })
	l := tls.NewListener(mustListen(t), config)
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server.Go(func() {
				defer c.Close()
				if err := c.(*tls.Conn).Handshake(); err != nil {
					t.Error(err)
				}
			})
		}
	})
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var seen sync.Map
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1"})
				if err != nil {
					t.Error(err)
					return
				}
				seen.Store(c.ConnectionState().PeerCertificates[0].Subject.CommonName, true)
				c.Close()
			}
		})
	}
	pause := func() { // some looks at the files
		for begin := clock.Load(); clock.Load() < begin+3*int64(checkEvery) && !t.Failed(); {
			runtime.Gosched()
		}
	}
	last := ""
	for i := range 30 {
		last = fmt.Sprintf("number %d", i)
		next := f.server(last)
		write(t, f.Cert, next.ChainPEM()[:len(next.ChainPEM())/2])
		pause()
		if i%2 == 0 {
			write(t, f.Key, next.KeyPEM())
			pause()
			write(t, f.Cert, next.ChainPEM())
		} else {
			write(t, f.Cert, next.ChainPEM())
			pause()
			write(t, f.Key, next.KeyPEM())
		}
		pause()
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, ok := seen.Load(last); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the last certificate was never shown")
			break
		}
	}
	close(stop)
	clients.Wait()
	l.Close()
	server.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reloads < 30 || len(w.warnings) < 30 {
		t.Errorf("%d reloads and %d warnings of 30 and more", w.reloads, len(w.warnings))
	}
}

// The same through Open, with the real clock.
func TestOpenReloads(t *testing.T) {
	f := newFiles(t)
	l := open1(t, "tls:127.0.0.1:0", Options{Certificates: f.Certificates})
	f.put(t, f.server("second"))
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, seen, err := shake(t, l, &tls.Config{RootCAs: f.ca.Pool(), ServerName: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		if seen.PeerCertificates[0].Subject.CommonName == "second" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate was never shown")
		}
	}
}
