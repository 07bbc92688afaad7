package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A tree is the contents of one host directory.
type tree map[string][]byte

// load reads a tree as the host directory of registry.example:443.
func (files tree) load(own ...*throwaway.Certificate) *Host {
	return readHost(files.fs(), ".", "/certs.d/registry.example", "registry.example:443", listDir(files.fs(), "."), nil, owns(own))
}

// onDisk is load for names that a MapFS cannot hold.
func (files tree) onDisk(t *testing.T) *Host {
	t.Helper()
	dir := t.TempDir()
	for name, f := range files.fs() {
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
	return readHost(dirFS(dir), ".", "/certs.d/registry.example", "registry.example:443", listDir(dirFS(dir), "."), nil, nil)
}

func (files tree) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, data := range files {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".key") {
			mode = 0o600
		}
		m[name] = &fstest.MapFile{Data: data, Mode: mode}
	}
	return m
}

func owns(own []*throwaway.Certificate) func(*x509.Certificate) bool {
	return func(c *x509.Certificate) bool {
		return slices.ContainsFunc(own, func(o *throwaway.Certificate) bool { return o.X509.Equal(c) })
	}
}

func pairNames(h *Host) string {
	var names []string
	for _, p := range h.Pairs {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

func kinds(problems []Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, string(p.Kind))
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "; ")
}

func TestWhatAHostDirectoryLeadsTo(t *testing.T) {
	ca := throwaway.NewCA("root")
	middle := ca.Issue(throwaway.Options{Name: "middle", CA: true})
	good := ca.Issue(throwaway.Options{Name: "good"})
	other := ca.Issue(throwaway.Options{Name: "other"})
	below := middle.Issue(throwaway.Options{Name: "below"})
	server := ca.Issue(throwaway.Options{Name: "server", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	proxyCA := throwaway.NewCA("certproxy")
	crt, cert, key := ca.CertPEM(), good.CertPEM(), good.KeyPEM()
	garbage := []byte("not PEM at all\n")
	encrypted := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	pkcs8Encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})

	odd := []byte("-----BEGIN NOTE-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END NOTE-----\n")

	for _, test := range []struct {
		name     string
		files    tree
		action   Action
		pairs    string
		roots    int
		problems string
	}{
		{"one pair", tree{"client.cert": cert, "client.key": key}, Intercept, "client", 0, ""},
		{"a pair and a CA root", tree{"client.cert": cert, "client.key": key, "ca.crt": crt}, Intercept, "client", 1, ""},
		{"CA roots only", tree{"ca.crt": crt}, Intercept, "", 1, ""},
		{"a bundle of CA roots", tree{"ca.crt": append(crt, proxyCA.CertPEM()...)}, Intercept, "", 2, ""},
		{"empty", tree{}, Tunnel, "", 0, string(ErrEmpty)},
		{"only names that start with a dot", tree{".client.cert": cert, ".client.key": key}, Tunnel, "", 0, string(ErrEmpty)},
		{"text before the PEM block", tree{"client.cert": append([]byte("Certificate:\n  Data:\n"), cert...), "client.key": key}, Intercept, "client", 0, ""},
		{"CRLF", tree{"client.cert": crlf(cert), "client.key": crlf(key)}, Intercept, "client", 0, ""},
		{"a BOM", tree{"client.cert": bom(cert), "client.key": bom(key), "ca.crt": bom(crt)}, Intercept, "client", 1, ""},
		{"the key inside the certificate file", tree{"client.cert": append(cert, key...)}, Intercept, "client", 0, string(ErrKeyExposed)},
		{"the whole chain", tree{"client.cert": below.ChainPEM(), "client.key": below.KeyPEM()}, Intercept, "client", 0, ""},
		{"the order is bytewise", tree{
			"a.cert": cert, "a.key": key, "B.cert": cert, "B.key": key, "10.cert": cert, "10.key": key, "2.cert": cert, "2.key": key,
			"client.cert": cert, "client.key": key, "client-1.cert": cert, "client-1.key": key,
		}, Intercept, "10 2 B a client-1 client", 0, ""},

		{"certificate without key", tree{"client.cert": cert}, Unusable, "", 0, string(ErrNoKey)},
		{"certificate without key beside a good pair", tree{"a.cert": cert, "b.cert": cert, "b.key": key}, Intercept, "b", 0, string(ErrNoKey)},
		{"key without certificate", tree{"client.key": key}, Unusable, "", 0, string(ErrNoCert)},
		{"key without certificate beside a CA root", tree{"client.key": key, "ca.crt": crt}, Unusable, "", 1, string(ErrNoCert)},
		{"key that does not match", tree{"a.cert": cert, "a.key": other.KeyPEM(), "b.cert": cert, "b.key": key}, Intercept, "b", 0, string(ErrMismatch)},
		{"encrypted keys", tree{"a.cert": cert, "a.key": encrypted, "b.cert": cert, "b.key": pkcs8Encrypted}, Unusable, "", 0, string(ErrEncrypted)},
		{"encrypted key inside the certificate file", tree{"a.cert": append(slices.Clone(cert), pkcs8Encrypted...)}, Unusable, "", 0, string(ErrEncrypted)},
		{"DER", tree{"client.cert": good.X509.Raw, "client.key": key}, Unusable, "", 0, string(ErrNotPEM)},
		{"garbage key", tree{"client.cert": cert, "client.key": garbage}, Unusable, "", 0, string(ErrNotPEM)},
		{"empty files", tree{"client.cert": nil, "client.key": nil}, Unusable, "", 0, string(ErrNotPEM)},
		{"half a certificate", tree{"client.cert": cert[:len(cert)/2], "client.key": key}, Unusable, "", 0, string(ErrNotPEM)},
		{"a file too large to be a certificate", tree{"client.cert": make([]byte, maxFile+1), "client.key": key}, Unusable, "", 0, string(ErrUnreadable)},
		{"CA root without a certificate", tree{"ca.crt": garbage, "good.crt": crt}, Intercept, "", 1, string(ErrNoCARoot)},
		{"only a CA root without a certificate", tree{"ca.crt": garbage}, Intercept, "", 0, string(ErrNoCARoot)},
		{"not meant for clients", tree{"client.cert": server.CertPEM(), "client.key": server.KeyPEM()}, Intercept, "client", 0, string(ErrNoClientAuth)},
		{"the intermediate lies beside the chain", tree{"client.cert": below.CertPEM(), "client.key": below.KeyPEM(), "middle.crt": middle.CertPEM()}, Intercept, "client", 1, string(ErrChainIncomplete)},
		{"the chain is not one", tree{"client.cert": append(below.CertPEM(), crt...), "client.key": below.KeyPEM()}, Intercept, "client", 0, string(ErrChainIncomplete)},
		{"extensions that are not read", tree{"a.pem": cert, "b.cer": cert, "c.p12": garbage}, Unusable, "", 0, string(ErrExtension)},
		{"extensions that are not read beside a CA root", tree{"a.pem": crt, "ca.crt": crt}, Intercept, "", 1, string(ErrExtension)},
		{"extensions in upper case", tree{"CLIENT.CERT": cert, "CLIENT.KEY": key}, Unusable, "", 0, string(ErrExtension)},
		{"an encrypted block that is no key before the key", tree{"a.cert": cert, "a.key": append(slices.Clone(odd), key...)}, Intercept, "a", 0, ""},
		{"a pair named tls beside a CA root of that name", tree{"tls.cert": cert, "tls.key": key, "tls.crt": crt}, Intercept, "tls", 1, ""},
		{"a name that is not UTF-8", tree{"caf\xe9.cert": cert, "caf\xe9.key": key}, Intercept, "caf\xe9", 0, ""},
		{"the names of a Kubernetes secret", tree{"tls.crt": cert, "tls.key": key, "ca.crt": crt}, Unusable, "", 1, string(ErrKubernetesNames)},
		{"containerd's hosts.toml", tree{"hosts.toml": nil}, Tunnel, "", 0, string(ErrContainerd) + "; " + string(ErrEmpty)},
		{"unknown files", tree{"README": nil, "client.cert": cert, "client.key": key}, Intercept, "client", 0, ""},
		{"our own CA beside a pair", tree{"ca.crt": proxyCA.CertPEM(), "client.cert": cert, "client.key": key}, Intercept, "client", 0, ""},
		{"our own CA alone", tree{"ca.crt": proxyCA.CertPEM()}, Tunnel, "", 0, string(ErrEmpty)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var own []*throwaway.Certificate
			if strings.HasPrefix(test.name, "our own") {
				own = append(own, proxyCA)
			}
			h := test.files.load(own...)
			if strings.Contains(test.name, "UTF-8") {
				h = test.files.onDisk(t)
			}
			if h.Action != test.action || pairNames(h) != test.pairs || len(h.CARoots) != test.roots {
				t.Errorf("action %v, pairs %q, %d CA roots; want %v, %q, %d", h.Action, pairNames(h), len(h.CARoots), test.action, test.pairs, test.roots)
			}
			if got := kinds(h.Problems); got != test.problems {
				t.Errorf("problems %q, want %q", got, test.problems)
			}
			if (h.Reason() != "") != (h.Action == Unusable) {
				t.Errorf("reason %q of a host that is %v", h.Reason(), h.Action)
			}
			for _, p := range h.Problems {
				if p.Hint == "" || p.Host != h.Name || !strings.HasPrefix(p.Path, h.Dir) {
					t.Errorf("problem %+v lacks its hint, host or path", p)
				}
				if strings.Contains(fmt.Sprintf("%+v", p), "PRIVATE KEY---") {
					t.Errorf("problem %+v shows a key", p)
				}
			}
		})
	}
}

func TestAPairSendsItsWholeChain(t *testing.T) {
	root := throwaway.NewCA("root")
	middle := root.Issue(throwaway.Options{Name: "middle", CA: true})
	leaf := middle.Issue(throwaway.Options{Name: "leaf"})
	h := tree{"c.cert": leaf.ChainPEM(), "c.key": leaf.KeyPEM()}.load()
	chain := h.Pairs[0].TLS().Certificate
	if len(chain) != 2 || !bytes.Equal(chain[0], leaf.X509.Raw) || !bytes.Equal(chain[1], middle.X509.Raw) {
		t.Errorf("chain of %d certificates, want leaf and intermediate", len(chain))
	}
}

func TestKeysOfEveryFormAreRead(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaCert := throwaway.SelfSigned(throwaway.Options{Name: "rsa", Key: rsaKey})
	ecCert := throwaway.SelfSigned(throwaway.Options{Name: "ec", Key: ecKey})
	edCert := throwaway.SelfSigned(throwaway.Options{Name: "ed", Key: edKey})
	params := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 5, 43, 129, 4, 0, 34}})
	h := tree{
		"1.cert": rsaCert.CertPEM(), "1.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}),
		"2.cert": rsaCert.CertPEM(), "2.key": rsaCert.KeyPEM(),
		"3.cert": ecCert.CertPEM(), "3.key": append(params, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...),
		"4.cert": ecCert.CertPEM(), "4.key": ecCert.KeyPEM(),
		"5.cert": edCert.CertPEM(), "5.key": edCert.KeyPEM(),
	}.load()
	if pairNames(h) != "1 2 3 4 5" || len(h.Problems) != 0 {
		t.Errorf("pairs %q, problems %v", pairNames(h), h.Problems)
	}
	if got := KeyType(h.Pairs[0].Leaf()) + ", " + KeyType(h.Pairs[2].Leaf()) + ", " + KeyType(h.Pairs[4].Leaf()); got != "RSA 2048, ECDSA P-384, Ed25519" {
		t.Errorf("key types %s", got)
	}
}

func TestDatesAreProblemsOfTheirTime(t *testing.T) {
	now := time.Now()
	c := throwaway.SelfSigned(throwaway.Options{NotBefore: now, NotAfter: now.Add(30 * 24 * time.Hour)})
	h := tree{"c.cert": c.CertPEM(), "c.key": c.KeyPEM()}.load()
	for at, want := range map[time.Duration]Kind{
		-time.Hour:           ErrNotYetValid,
		time.Hour:            "",
		17 * 24 * time.Hour:  ErrExpiresSoon,
		40 * 24 * time.Hour:  ErrExpired,
		400 * 24 * time.Hour: ErrExpired,
	} {
		problems := h.ProblemsAt(now.Add(at))
		if got := kinds(problems); got != string(want) {
			t.Errorf("after %v: problems %q, want %q", at, got, want)
		}
		if len(h.Pairs) != 1 || h.Action != Intercept {
			t.Errorf("after %v the pair is not tried any more", at)
		}
	}
}

func TestAPairNeverPrintsItsKey(t *testing.T) {
	c := throwaway.SelfSigned(throwaway.Options{Name: "c"})
	h := tree{"c.cert": c.CertPEM(), "c.key": c.KeyPEM()}.load()
	d, err := c.Key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{h.Pairs[0], *h} {
			if s := fmt.Sprintf(verb, value); strings.Contains(s, fmt.Sprintf("%x", d)) || strings.Contains(s, fmt.Sprint(d)) {
				t.Errorf("%s of a %T shows the key", verb, value)
			}
		}
		if s := fmt.Sprintf(verb, h.Pairs[0]); s != "c" {
			t.Errorf("%s of a pair is %.60q", verb, s)
		}
	}
}

func TestAFIFOIsReportedAndNotRead(t *testing.T) {
	dir := t.TempDir()
	c := throwaway.SelfSigned(throwaway.Options{Name: "c"})
	c.WritePair(dir, "b")
	for _, name := range []string{"a.cert", "z.crt"} {
		if out, err := exec.Command("mkfifo", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("mkfifo: %v: %s", err, out)
		}
	}
	h := readHost(os.DirFS(dir), ".", dir, "x:443", listDir(os.DirFS(dir), "."), nil, nil)
	if pairNames(h) != "b" || kinds(h.Problems) != string(ErrUnreadable) {
		t.Errorf("pairs %q, problems %v", pairNames(h), h.Problems)
	}
}

func TestHintsCanBePastedIntoAShell(t *testing.T) {
	for in, want := range map[string]string{
		"/etc/docker/certs.d/registry.example:5000/client.key": "/etc/docker/certs.d/registry.example:5000/client.key",
		"/a b/$(reboot)/c'd":  `'/a b/$(reboot)/c'\''d'`,
		"/certs.d/[::1]:5000": `'/certs.d/[::1]:5000'`,
		"-rf":                 `'-rf'`,
		"":                    `''`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

// Whatever bytes lie in a directory, loading neither panics nor hides the good pair
// beside them, and what is not usable is reported.
func FuzzReadHost(f *testing.F) {
	c := throwaway.SelfSigned(throwaway.Options{Name: "c"})
	f.Add(c.CertPEM(), c.KeyPEM())
	f.Add([]byte("\xef\xbb\xbf-----BEGIN CERTIFICATE-----"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"))
	f.Add(c.X509.Raw, []byte{})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		h := tree{"a.cert": cert, "a.key": key, "ca.crt": cert, "b.cert": c.CertPEM(), "b.key": c.KeyPEM()}.load()
		if !strings.HasSuffix(pairNames(h), "b") || h.Action != Intercept {
			t.Errorf("the good pair is gone: pairs %q", pairNames(h))
		}
		if len(h.Pairs) == 1 && len(h.Problems) == 0 {
			t.Error("pair a is neither used nor reported")
		}
	})
}

func crlf(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")) }
func bom(data []byte) []byte  { return append([]byte("\xef\xbb\xbf"), data...) }
