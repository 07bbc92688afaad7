//go:build unix

package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestCreatedCertificate(t *testing.T) {
	now := time.Now()
	c := newTestCA(t, Options{})
	cert := c.Certificate()
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("key = %T, want ECDSA P-256", cert.PublicKey)
	}
	if !cert.IsCA || !cert.BasicConstraintsValid || cert.MaxPathLen != 0 || !cert.MaxPathLenZero {
		t.Errorf("IsCA = %v, MaxPathLen = %d (zero %v), want a CA of path length 0", cert.IsCA, cert.MaxPathLen, cert.MaxPathLenZero)
	}
	if cert.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("KeyUsage = %b", cert.KeyUsage)
	}
	if len(cert.SubjectKeyId) == 0 {
		t.Error("no subject key identifier")
	}
	if bits := cert.SerialNumber.BitLen(); bits < 64 || bits > 128 {
		t.Errorf("serial of %d bits, want a random one of 128", bits)
	}
	if got := cert.NotBefore.Sub(now.Add(-time.Hour)); got.Abs() > 10*time.Second {
		t.Errorf("NotBefore = %v, want an hour ago", cert.NotBefore)
	}
	if got := cert.NotAfter.Sub(now.AddDate(10, 0, 0)); got.Abs() > 10*time.Second {
		t.Errorf("NotAfter = %v, want ten years from now", cert.NotAfter)
	}
	name, _ := os.Hostname()
	cn := cert.Subject.CommonName
	if !strings.HasPrefix(cn, "certproxy CA on "+name[:min(len(name), 35)]) || len(cn) > maxCommonName {
		t.Errorf("common name = %q, want what it is and the machine's name, within 64", cn)
	}
	if c.Constraints() != nil {
		t.Errorf("Constraints = %v, want none", c.Constraints())
	}
}

func TestCreatedFiles(t *testing.T) {
	// A umask cannot open the key, nor close the certificate.
	for _, umask := range []int{0, 0o077} {
		old := syscall.Umask(umask)
		dir := filepath.Join(t.TempDir(), "var", "lib", "state")
		_, err := Create(dir, Options{})
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, KeyFile): 0o600, filepath.Join(dir, CertFile): 0o644} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %03o: mode of %s = %04o, want %04o", umask, path, got, want)
			}
		}
		if got := listDir(t, dir); !slices.Equal(got, []string{lockFile, CertFile, KeyFile}) {
			t.Errorf("files = %q", got)
		}
	}
}

func TestCreatedCAIsLoadedAgain(t *testing.T) {
	c := newTestCA(t, Options{})
	again, made, err := LoadOrCreate(c.dir)
	if err != nil || made {
		t.Fatalf("LoadOrCreate = made %v, %v; want the one that is there", made, err)
	}
	if !again.Certificate().Equal(c.Certificate()) {
		t.Error("another certificate was loaded")
	}
	_, err = Create(c.dir, Options{})
	wantError(t, err, ErrExists, c.dir, "move")
}

func TestFingerprintIsOpenSSLs(t *testing.T) {
	c := newTestCA(t, Options{})
	out, ok := openssl(t, nil, "x509", "-in", filepath.Join(c.dir, CertFile), "-noout", "-fingerprint", "-sha256")
	if _, want, _ := strings.Cut(strings.TrimSpace(out), "="); !ok || c.Fingerprint() != want {
		t.Errorf("Fingerprint = %s, openssl says %s", c.Fingerprint(), out)
	}
}

// TestInterruptedCreation goes through every state that a creation passes.
func TestInterruptedCreation(t *testing.T) {
	donor := newTestCA(t, Options{})
	certPEM, keyPEM := contents(t, donor.dir)
	for name, files := range map[string]map[string][]byte{
		"nothing yet":         {},
		"half a key":          {newKeyFile: keyPEM[:40]},
		"a key":               {newKeyFile: keyPEM},
		"half a certificate":  {newKeyFile: keyPEM, newCertFile: certPEM[:40]},
		"both":                {newKeyFile: keyPEM, newCertFile: certPEM},
		"key in place":        {KeyFile: keyPEM, newCertFile: certPEM},
		"cleaning, key gone":  {newCertFile: certPEM},
		"cleaning, both gone": {newKeyFile: keyPEM[:0]},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range files {
				put(t, filepath.Join(dir, file), data, 0o600)
			}
			if _, err := Load(dir); err == nil {
				t.Error("Load accepts it")
			} else {
				wantError(t, err, ErrNone, "certproxy ca init --state "+dir)
			}
			c, made, err := LoadOrCreate(dir)
			if err != nil || !made {
				t.Fatalf("LoadOrCreate = made %v, %v; want a new CA", made, err)
			}
			if c.Owns(donor.Certificate()) {
				t.Error("the interrupted creation's key is used")
			}
			if got := listDir(t, dir); !slices.Equal(got, []string{lockFile, CertFile, KeyFile}) {
				t.Errorf("files = %q", got)
			}
		})
	}
}

func TestHalfACA(t *testing.T) {
	certPEM, keyPEM := contents(t, newTestCA(t, Options{}).dir)

	dir := t.TempDir()
	put(t, filepath.Join(dir, CertFile), certPEM, 0o644)
	for range 2 { // the error changes nothing
		_, _, err := LoadOrCreate(dir)
		wantError(t, err, ErrIncomplete, "ca.crt without ca.key", "chmod 600", "away")
	}
	_, err := Create(dir, Options{})
	wantError(t, err, ErrIncomplete, "ca.crt without ca.key")

	// A lone key that no creation left may be all there is of somebody's CA.
	dir = t.TempDir()
	put(t, filepath.Join(dir, KeyFile), keyPEM, 0o600)
	for range 2 {
		_, _, err := LoadOrCreate(dir)
		wantError(t, err, ErrIncomplete, "ca.key without ca.crt", "away")
	}
	if kept, _ := os.ReadFile(filepath.Join(dir, KeyFile)); !bytes.Equal(kept, keyPEM) {
		t.Error("the lone key is lost")
	}
}

func TestStateDirectoryIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	put(t, path, nil, 0o600)
	_, err := Create(path, Options{})
	wantError(t, err, ErrUnwritable, path, "a file, not a directory", "--state")
	_, err = Load(path)
	wantError(t, err, ErrUnreadable, path, "a file, not a directory", "--state")
	_, _, err = LoadOrCreate(filepath.Join(path, "below"))
	wantError(t, err, ErrUnreadable, "not a directory")
	_, err = Create(filepath.Join(path, "below"), Options{})
	wantError(t, err, ErrUnwritable, "not a directory")
}

func TestStateDirectoryCannotBeWritten(t *testing.T) {
	dir := publicDir(t)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	for _, state := range []string{dir, filepath.Join(dir, "a", "b")} {
		out := asOther(t, "load-or-create", state)
		for _, want := range []string{state + ": cannot be written: ", "mode 0555, owner ", "certproxy runs as ", "chown USER " + dir, "--state"} {
			if !strings.Contains(out, want) {
				t.Errorf("it says %q, which lacks %q", out, want)
			}
		}
	}
	if got := listDir(t, dir); got != nil {
		t.Errorf("left behind: %q", got)
	}
}

func TestFailedCreationLeavesNothing(t *testing.T) {
	certPEM, keyPEM := contents(t, newTestCA(t, Options{}).dir)
	state := t.TempDir()
	put(t, filepath.Join(state, newCertFile), nil, 0o600) // in the way of the second file
	if err := install(state, certPEM, keyPEM); err == nil {
		t.Fatal("install overwrote a file")
	}
	if got := listDir(t, state); got != nil {
		t.Errorf("left behind: %q", got)
	}
}

func TestLockIsHeldByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		unlock, err := lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		_, _, err = LoadOrCreate(dir) // which waits for maxLockWait
		wantError(t, err, ErrBusy, lockFile, "10s", "fuser")

		done := make(chan error, 1)
		go func() {
			_, _, err := LoadOrCreate(dir)
			done <- err
		}()
		synctest.Wait()
		if present(filepath.Join(dir, KeyFile)) || len(done) > 0 {
			t.Error("LoadOrCreate did not wait for the lock")
		}
		unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestProcessesThatStartAtOnceAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	const processes = 8
	out := make([]string, processes)
	var wg sync.WaitGroup
	for i := range out {
		cmd := child(t, "load-or-create", dir)
		wg.Go(func() {
			text, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, text)
			}
			out[i] = string(text)
		})
	}
	wg.Wait()
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, text := range out {
		fingerprint, word, _ := strings.Cut(strings.TrimSpace(text), " ")
		if fingerprint != c.Fingerprint() {
			t.Errorf("a process has %q, the directory %s", text, c.Fingerprint())
		}
		if word == "true" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d processes made a CA, want 1", made)
	}
}

// contents returns the files of a CA.
func contents(t testing.TB, dir string) (certPEM, keyPEM []byte) {
	t.Helper()
	certPEM, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		t.Fatal(err)
	}
	if keyPEM, err = os.ReadFile(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if block, rest := pem.Decode(certPEM); block == nil || len(rest) != 0 {
		t.Fatalf("%s holds more than a certificate", CertFile)
	}
	return certPEM, keyPEM
}
