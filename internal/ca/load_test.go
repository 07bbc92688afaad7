//go:build unix

package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestBroughtKeys(t *testing.T) {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k crypto.Signer) []byte { return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k))) }
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey)))
	for name, test := range map[string]struct {
		key crypto.Signer
		pem []byte
	}{
		"RSA PKCS #1":                   {rsaKey, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		"RSA PKCS #8":                   {rsaKey, pkcs8(rsaKey)},
		"ECDSA SEC 1":                   {ecKey, sec1},
		"ECDSA SEC 1 after parameters":  {ecKey, append([]byte("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"), sec1...)},
		"ECDSA PKCS #8":                 {ecKey, pkcs8(ecKey)},
		"Ed25519 PKCS #8":               {edKey, pkcs8(edKey)},
		"text, CRLF and a BOM":          {ecKey, messy(sec1)},
		"PKCS #8 under another's label": {rsaKey, block("RSA PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey)))},
	} {
		t.Run(name, func(t *testing.T) {
			root := throwaway.SelfSigned(throwaway.Options{Name: "brought", CA: true, Key: test.key, Usage: []x509.ExtKeyUsage{}})
			c, made, err := LoadOrCreate(bring(t, messy(root.CertPEM()), test.pem))
			if err != nil || made {
				t.Fatalf("LoadOrCreate = made %v, %v", made, err)
			}
			verifyLeaf(t, c, "registry.example", root.X509)
			out, ok := opensslVerify(t, c, "registry.example", root.CertPEM())
			if !ok {
				t.Errorf("openssl verify: %s", out)
			}
		})
	}
}

func TestBroughtChain(t *testing.T) {
	root := throwaway.NewCA("root")
	upper := root.Issue(throwaway.Options{Name: "upper", CA: true, Usage: []x509.ExtKeyUsage{}})
	signer := upper.Issue(throwaway.Options{Name: "signer", CA: true, Usage: []x509.ExtKeyUsage{}})
	keyPEM := signer.KeyPEM()
	for name, test := range map[string]struct {
		files []*throwaway.Certificate
		sent  int // certificates a client gets
	}{
		"up to the root":   {[]*throwaway.Certificate{signer, upper, root}, 3},
		"without the root": {[]*throwaway.Certificate{signer, upper}, 3},
		"alone":            {[]*throwaway.Certificate{signer}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var certPEM []byte
			for _, c := range test.files {
				certPEM = append(certPEM, c.CertPEM()...)
			}
			c, err := Load(bring(t, certPEM, keyPEM))
			if err != nil {
				t.Fatal(err)
			}
			if !c.Certificate().Equal(signer.X509) {
				t.Errorf("Certificate = %s", c.Certificate().Subject)
			}
			leaf, err := c.Leaf("registry.example")
			if err != nil {
				t.Fatal(err)
			}
			if len(leaf.Certificate) != test.sent {
				t.Errorf("%d certificates are sent, want %d: the leaf and all but the root", len(leaf.Certificate), test.sent)
			}
			if test.sent == 3 {
				verifyLeaf(t, c, "registry.example", root.X509)
			}
		})
	}

	_, err := Load(bring(t, append(append(signer.CertPEM(), root.CertPEM()...), upper.CertPEM()...), keyPEM))
	wantError(t, err, ErrChain, "certificate 1 (CN=signer) is not issued by certificate 2 (CN=root)", "order")

	tight := sign(t, nil, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	below := sign(t, tight, func(*x509.Certificate) {})
	_, err = Load(bringCA(t, below))
	wantError(t, err, ErrChain, "path length of 0, and 1 CAs are below it")
}

func TestBroughtFaults(t *testing.T) {
	good := throwaway.NewCA("brought")
	certPEM, keyPEM := good.CertPEM(), good.KeyPEM()
	other := throwaway.NewCA("other")
	edit := func(f func(*x509.Certificate)) []byte { return sign(t, nil, f).CertPEM() }
	ecdhKey := must(ecdh.P256().GenerateKey(rand.Reader))
	for name, test := range map[string]struct {
		cert, key []byte
		kind      Kind
		file      string
		words     []string
	}{
		"certificate is empty":         {nil, keyPEM, ErrNotPEM, CertFile, []string{"the file is empty"}},
		"certificate is text":          {[]byte("hello\n"), keyPEM, ErrNotPEM, CertFile, []string{"no CERTIFICATE block", "away"}},
		"certificate is DER":           {good.X509.Raw, keyPEM, ErrNotPEM, CertFile, []string{"DER or PKCS#12"}},
		"certificate is cut off":       {certPEM[:200], keyPEM, ErrNotPEM, CertFile, []string{"half-written"}},
		"certificate is a key":         {keyPEM, keyPEM, ErrNotPEM, CertFile, []string{`it holds a block "PRIVATE KEY"`}},
		"certificate does not parse":   {block("CERTIFICATE", []byte("hello")), keyPEM, ErrNotPEM, CertFile, []string{"certificate 1 does not parse"}},
		"key is empty":                 {certPEM, []byte("\n"), ErrNotPEM, KeyFile, []string{"the file is empty"}},
		"key is cut off":               {certPEM, keyPEM[:100], ErrNotPEM, KeyFile, []string{"half-written", "restore ca.key", "away"}},
		"key is a certificate":         {certPEM, certPEM, ErrNotPEM, KeyFile, []string{`it holds a block "CERTIFICATE"`}},
		"key does not parse":           {certPEM, block("PRIVATE KEY", []byte("hello")), ErrNotPEM, KeyFile, []string{"does not hold an RSA, ECDSA or Ed25519 key"}},
		"key cannot sign":              {certPEM, block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecdhKey))), ErrMismatch, KeyFile, nil},
		"key is encrypted (PKCS #8)":   {certPEM, block("ENCRYPTED PRIVATE KEY", []byte{1}), ErrEncrypted, KeyFile, []string{"passphrase", "openssl pkey"}},
		"key is encrypted (RFC 1421)":  {certPEM, legacyEncrypted(), ErrEncrypted, KeyFile, []string{"passphrase"}},
		"key of another":               {certPEM, other.KeyPEM(), ErrMismatch, KeyFile, []string{"CN=brought", CertFile}},
		"a server's certificate":       {edit(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, 0 }), keyPEM, ErrNotCA, CertFile, []string{"CA:TRUE"}},
		"no basic constraints":         {edit(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, 0 }), keyPEM, ErrNotCA, CertFile, []string{"CA:TRUE"}},
		"may not sign certificates":    {edit(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), keyPEM, ErrNotCA, CertFile, []string{"keyCertSign"}},
		"for clients only":             {edit(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), keyPEM, ErrNotCA, CertFile, []string{"serverAuth"}},
		"expired":                      {edit(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), keyPEM, ErrExpired, CertFile, []string{"it ended at", "the clock says", "timedatectl"}},
		"not valid yet":                {edit(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), keyPEM, ErrNotYetValid, CertFile, []string{"it begins at", "the clock says", "timedatectl"}},
		"certificate file is enormous": {bytes.Repeat([]byte("x"), maxFile+1), keyPEM, ErrUnreadable, CertFile, []string{"larger than 1048576 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bring(t, test.cert, test.key)
			_, _, err := LoadOrCreate(dir)
			wantError(t, err, test.kind, append(test.words, filepath.Join(dir, test.file)+": ")...)
			if got, _ := os.ReadFile(filepath.Join(dir, KeyFile)); !bytes.Equal(got, test.key) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestBroughtFilesOfOtherKinds(t *testing.T) {
	certPEM, keyPEM := contents(t, newTestCA(t, Options{}).dir)

	dir := bring(t, certPEM, keyPEM)
	if err := os.Remove(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	wantError(t, err, ErrUnreadable, KeyFile, "no regular file")

	dir = t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, CertFile)); err != nil {
		t.Fatal(err)
	}
	_, _, err = LoadOrCreate(dir)
	wantError(t, err, ErrUnreadable, CertFile, "symbolic link leads nowhere")

	// As Kubernetes mounts a secret.
	dir = t.TempDir()
	for name, target := range map[string]string{"..data": bring(t, certPEM, keyPEM), CertFile: "..data/ca.crt", KeyFile: "..data/ca.key"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("symbolic links: %v", err)
	}
}

func TestKeyThatOthersCanRead(t *testing.T) {
	dir := newTestCA(t, Options{}).dir
	path := filepath.Join(dir, KeyFile)
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o640: true, 0o644: false, 0o604: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		if ok && err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if !ok {
			wantError(t, err, ErrKeyExposed, path, "mode 06", "chmod 600 "+path)
		}
	}
}

func TestUnreadable(t *testing.T) {
	for name, test := range map[string]struct {
		file string // made 0600 or 0700 for its owner, whom the reader is not
		mode os.FileMode
	}{
		"key":             {KeyFile, 0o600},
		"certificate":     {CertFile, 0o600},
		"state directory": {".", 0o700},
	} {
		t.Run(name, func(t *testing.T) {
			certPEM, keyPEM := contents(t, newTestCA(t, Options{}).dir)
			dir := publicDir(t)
			put(t, filepath.Join(dir, CertFile), certPEM, 0o644)
			put(t, filepath.Join(dir, KeyFile), keyPEM, 0o640)
			path := filepath.Join(dir, test.file)
			mode := test.mode
			if os.Geteuid() != 0 { // the reader is the owner
				mode = 0
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
			for _, role := range []string{"load", "load-or-create"} {
				out := asOther(t, role, dir)
				for _, want := range []string{path + ": cannot be read: mode 0", "owner ", "certproxy runs as ", "chown USER " + path} {
					if !strings.Contains(out, want) {
						t.Errorf("%s says %q, which lacks %q", role, out, want)
					}
				}
			}
		})
	}
}

func TestReadOnlyStateDirectoryServes(t *testing.T) {
	dir := newTestCA(t, Options{}).dir
	if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
		t.Fatal(err)
	}
	if _, made, err := LoadOrCreate(dir); err != nil || made {
		t.Errorf("LoadOrCreate = made %v, %v", made, err)
	}
	if present(filepath.Join(dir, lockFile)) {
		t.Error("loading took the lock, which a read-only directory cannot give")
	}
}

// sign makes a CA that throwaway cannot, from a template edited by f. The key is
// issuer's if there is one: nothing here looks at both.
func sign(t testing.TB, issuer *throwaway.Certificate, f func(*x509.Certificate)) *throwaway.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edited"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLen: -1,
	}
	f(template)
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = issuer.X509, issuer.Key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return &throwaway.Certificate{X509: must(x509.ParseCertificate(der)), Key: key, Issuer: issuer}
}

// messy is PEM as it comes: behind a byte-order mark and openssl's text, with CRLF.
func messy(data []byte) []byte {
	text := "\xef\xbb\xbfCertificate:\n    Data:\n        Version: 3 (0x2)\n" + string(data) + "\n"
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}

// legacyEncrypted is what openssl genrsa -aes128 -traditional writes.
func legacyEncrypted() []byte {
	return pem.EncodeToMemory(&pem.Block{
		Type:    "RSA PRIVATE KEY",
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00000000000000000000000000000000"},
		Bytes:   []byte("not to be parsed"),
	})
}

func block(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
