//go:build unix

package ca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestLeaf(t *testing.T) {
	c := newTestCA(t, Options{})
	long := strings.Repeat("a", 60) + ".registry.example"
	for name, want := range map[string]struct{ dns, ip, cn string }{
		"registry.example":  {dns: "registry.example", cn: "registry.example"},
		"Registry.Example.": {dns: "registry.example", cn: "registry.example"},
		"my_registry":       {dns: "my_registry", cn: "my_registry"},
		long:                {dns: long},
		"192.0.2.1":         {ip: "192.0.2.1"},
		"2001:db8::1":       {ip: "2001:db8::1"},
		"::ffff:192.0.2.1":  {ip: "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			leaf, err := c.Leaf(name)
			if err != nil {
				t.Fatal(err)
			}
			cert := leaf.Leaf
			if cert == nil || !bytes.Equal(cert.Raw, leaf.Certificate[0]) {
				t.Fatal("Leaf is not set to the first certificate")
			}
			if got := fmt.Sprint(cert.DNSNames, cert.IPAddresses, cert.Subject.CommonName); got != fmt.Sprint(list(want.dns), list(want.ip), want.cn) {
				t.Errorf("names = %s", got)
			}
			if len(leaf.Certificate) != 1 {
				t.Errorf("%d certificates, want the leaf alone: the CA is the root", len(leaf.Certificate))
			}
			if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
				t.Errorf("IsCA %v, KeyUsage %b, ExtKeyUsage %v", cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage)
			}
			if d := cert.NotAfter.Sub(now) - 7*24*time.Hour; d.Abs() > 10*time.Second {
				t.Errorf("NotAfter = %v, want 7 days from now", cert.NotAfter)
			}
			if d := now.Sub(cert.NotBefore) - time.Hour; d.Abs() > 10*time.Second {
				t.Errorf("NotBefore = %v, want an hour ago", cert.NotBefore)
			}
			verifyLeaf(t, c, name, c.Certificate())
			if out, ok := opensslVerify(t, c, name, pemOf(c.Certificate())); !ok {
				t.Errorf("openssl verify: %s", out)
			}
		})
	}
}

// list makes a name look as fmt prints a slice of names.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func TestLeafRefusesWhatIsNoName(t *testing.T) {
	c := newTestCA(t, Options{})
	for _, name := range []string{"", ".", "a..b", "registry.example:443", "[2001:db8::1]", "fe80::1%eth0", "*.example", "a/b", "bücher.example", "a b", strings.Repeat("a", 64), strings.Repeat("a.", 200)} {
		_, err := c.Leaf(name)
		wantError(t, err, ErrName, fmt.Sprintf("%.100q", name))
	}
	if n := c.leaves.Len(); n != 0 {
		t.Errorf("%d refused names are kept", n)
	}
}

func TestOneKeyPerProcess(t *testing.T) {
	c := newTestCA(t, Options{})
	a, b := must(c.Leaf("a.example")), must(c.Leaf("b.example"))
	if !samePublic(a.Leaf.PublicKey, b.Leaf.PublicKey) {
		t.Error("leaves have different keys")
	}
	if c.Owns(a.Leaf) {
		t.Error("a leaf has the CA's key")
	}
	again := must(must(Load(c.dir)).Leaf("a.example"))
	if samePublic(a.Leaf.PublicKey, again.Leaf.PublicKey) {
		t.Error("the leaf key survived a restart")
	}
	if a.Leaf.SerialNumber.Cmp(b.Leaf.SerialNumber) == 0 {
		t.Error("leaves share a serial number")
	}
}

func TestLeafIsMintedOnce(t *testing.T) {
	const callers = 64
	var waitFor, arrived, inside atomic.Int32
	var together atomic.Bool
	c := newTestCA(t, Options{now: func() time.Time { // read with the name's lock held
		if inside.Add(1) > 1 {
			together.Store(true)
		}
		defer inside.Add(-1)
		for arrived.Load() < waitFor.Load() {
			runtime.Gosched()
		}
		return time.Now()
	}})
	waitFor.Store(callers)
	leaves := make([]*tls.Certificate, callers)
	var wg sync.WaitGroup
	for i := range leaves {
		wg.Go(func() {
			name := "registry.example"
			if i%2 == 1 {
				name = "REGISTRY.example." // another spelling of the same
			}
			arrived.Add(1)
			leaf, err := c.Leaf(name)
			if err != nil {
				t.Error(err)
			}
			leaves[i] = leaf
		})
	}
	wg.Wait()
	for _, leaf := range leaves {
		if leaf != leaves[0] {
			t.Fatal("two leaves were minted")
		}
	}
	if together.Load() {
		t.Error("two callers were minting at once")
	}
}

func TestLeavesAreBounded(t *testing.T) {
	c := newTestCA(t, Options{})
	first := must(c.Leaf("0.example"))
	for i := 1; i <= maxLeaves; i++ {
		must(c.Leaf(fmt.Sprintf("%d.example", i)))
	}
	if n := c.leaves.Len(); n != maxLeaves {
		t.Errorf("%d leaves are kept, want %d", n, maxLeaves)
	}
	if must(c.Leaf("0.example")) == first {
		t.Error("the one unused for longest was kept")
	}
}

// TestLeafIsRenewed runs on a clock that only passes when everything sleeps.
func TestLeafIsRenewed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		c, _, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		first := must(c.Leaf("registry.example"))
		life := first.Leaf.NotAfter.Sub(first.Leaf.NotBefore)
		pass(time.Until(first.Leaf.NotAfter.Add(-life / 3)))
		if must(c.Leaf("registry.example")) != first {
			t.Error("renewed with a third of its life left")
		}
		pass(time.Second)
		second := must(c.Leaf("registry.example"))
		if second == first {
			t.Error("not renewed with less than a third of its life left")
		}
		pass(365 * 24 * time.Hour)
		third := must(c.Leaf("registry.example"))
		if now := time.Now(); now.After(third.Leaf.NotAfter) || third == second {
			t.Errorf("after a year the leaf ends at %v", third.Leaf.NotAfter)
		}
	})
}

// pass lets time pass, in a bubble, where that takes none.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // only called in a synctest bubble
}

func TestLeafNeverOutlivesTheCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		c, _, err := LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		end := c.Certificate().NotAfter
		pass(time.Until(end.Add(-24 * time.Hour)))
		last := must(c.Leaf("registry.example"))
		if !last.Leaf.NotAfter.Equal(end) {
			t.Errorf("NotAfter = %v, the CA's is %v", last.Leaf.NotAfter, end)
		}
		pass(23*time.Hour + 59*time.Minute)
		if must(c.Leaf("registry.example")) != last {
			t.Error("renewed, though a new leaf cannot last longer")
		}
		pass(time.Minute + time.Second)
		for _, name := range []string{"registry.example", "new.example"} {
			_, err := c.Leaf(name)
			wantError(t, err, ErrExpired, filepath.Join(c.dir, CertFile), "it ended at "+stamp(end), "away")
		}
		_, err = Load(dir)
		wantError(t, err, ErrExpired, "it ended at "+stamp(end))
	})
}

func TestClockJumps(t *testing.T) {
	start := time.Now()
	now := start
	c := newTestCA(t, Options{now: func() time.Time { return now }})
	valid := func(leaf *tls.Certificate) bool {
		return !now.Before(leaf.Leaf.NotBefore) && !now.After(leaf.Leaf.NotAfter)
	}
	now = start.AddDate(1, 0, 0) // the clock was set wrong
	future := must(c.Leaf("registry.example"))
	now = start // and put right
	present := must(c.Leaf("registry.example"))
	if present == future || !valid(present) {
		t.Errorf("after a jump back the leaf begins at %v", present.Leaf.NotBefore)
	}
	now = start.Add(-30 * time.Minute) // within what is allowed for
	if leaf := must(c.Leaf("registry.example")); leaf != present {
		t.Error("a small step back minted a new leaf")
	}
	if leaf := must(c.Leaf("new.example")); !leaf.Leaf.NotBefore.Equal(c.Certificate().NotBefore) {
		t.Errorf("the leaf begins at %v, its CA at %v", leaf.Leaf.NotBefore, c.Certificate().NotBefore)
	}
	now = start.AddDate(-1, 0, 0)
	_, err := c.Leaf("registry.example")
	wantError(t, err, ErrNotYetValid, "it begins at", "timedatectl")
	now = start.AddDate(11, 0, 0)
	_, err = c.Leaf("registry.example")
	wantError(t, err, ErrExpired)
	now = start // a failure is not kept
	if leaf := must(c.Leaf("registry.example")); !valid(leaf) {
		t.Error("not valid after the clock was put right")
	}
}

func TestOwns(t *testing.T) {
	c := newTestCA(t, Options{})
	other := newTestCA(t, Options{})
	sameKey := throwaway.SelfSigned(throwaway.Options{Name: "renewed", CA: true, Key: c.key})
	for name, test := range map[string]struct {
		cert *x509.Certificate
		want bool
	}{
		"its own":           {c.Certificate(), true},
		"read again":        {must(x509.ParseCertificate(c.Certificate().Raw)), true},
		"another, same key": {sameKey.X509, true},
		"another CA":        {other.Certificate(), false},
		"none":              {nil, false},
		"one without a key": {&x509.Certificate{}, false},
	} {
		if got := c.Owns(test.cert); got != test.want {
			t.Errorf("Owns(%s) = %v", name, got)
		}
	}
}

// TestHandshake shows a leaf to a client of crypto/tls, as the proxy does.
func TestHandshake(t *testing.T) {
	c := newTestCA(t, Options{PermitDNS: []string{"example"}})
	roots := x509.NewCertPool()
	roots.AddCert(c.Certificate())
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() {
		server := tls.Server(theirs, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.Leaf(hello.ServerName)
		}})
		done <- server.HandshakeContext(t.Context())
	}()
	client := tls.Client(ours, &tls.Config{ServerName: "registry.example", RootCAs: roots})
	if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
		t.Error(err)
	}
	_, _ = ours.Close(), theirs.Close()
}

// verifyLeaf checks that Go's clients accept a leaf under a root.
func verifyLeaf(t *testing.T, c *CA, name string, root *x509.Certificate) {
	t.Helper()
	leaf, err := c.Leaf(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(leaf, root); err != nil {
		t.Errorf("verify %s: %v", name, err)
	}
	if err := leaf.Leaf.VerifyHostname(strings.TrimSuffix(name, ".")); err != nil {
		t.Error(err)
	}
}

func verify(leaf *tls.Certificate, root *x509.Certificate) error {
	roots, issuers := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, der := range leaf.Certificate[1:] {
		issuers.AddCert(must(x509.ParseCertificate(der)))
	}
	_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: issuers, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// opensslVerify asks openssl about the leaf that the CA would mint, whether or not
// its constraints allow that.
func opensslVerify(t *testing.T, c *CA, name string, rootPEM []byte) (string, bool) {
	t.Helper()
	h := must(parseHost(name))
	leaf := must(c.mint(h.String(), c.now()))
	dir := t.TempDir()
	root := filepath.Join(dir, "root.crt")
	put(t, root, rootPEM, 0o644)
	leafFile := filepath.Join(dir, "leaf.crt")
	put(t, leafFile, pemOf(leaf.Leaf), 0o644)
	flag := "-verify_hostname"
	if h.dns == "" {
		flag = "-verify_ip"
	}
	args := []string{"verify", "-x509_strict", "-purpose", "sslserver", flag, h.String(), "-CAfile", root}
	// throwaway's CAs lack the identifiers that -x509_strict asks for.
	if len(c.Certificate().SubjectKeyId) == 0 || len(c.Certificate().AuthorityKeyId) == 0 {
		args = append(args[:1], args[2:]...)
	}
	return openssl(t, nil, append(args, leafFile)...)
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// BenchmarkMint is a host's first leaf.
func BenchmarkMint(b *testing.B) {
	c := newTestCA(b, Options{})
	for b.Loop() {
		if _, err := c.mint("registry.example", c.now()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLeafCached is every later one.
func BenchmarkLeafCached(b *testing.B) {
	c := newTestCA(b, Options{})
	if _, err := c.Leaf("registry.example"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Leaf("registry.example"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate is a first start, with its syncs.
func BenchmarkCreate(b *testing.B) {
	base := b.TempDir()
	for i := 0; b.Loop(); i++ {
		if _, err := Create(filepath.Join(base, fmt.Sprint(i)), Options{}); err != nil {
			b.Fatal(err)
		}
	}
	_ = os.RemoveAll(base)
}
