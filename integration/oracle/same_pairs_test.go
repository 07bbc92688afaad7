package oracle

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/certs"
)

// The host directory of every fixture, and its authority.
const hostDir = "registry.example:5000"

func TestPairsAndCARootsAreThoseOfTheOracles(t *testing.T) {
	excepted := map[string]exception{}
	for _, e := range exceptions() {
		excepted[e.fixture] = e
	}
	seen := map[string]bool{}
	for _, f := range fixtures(newMaterial(t)) {
		if seen[f.name] {
			t.Errorf("two fixtures are named %q", f.name)
		}
		seen[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "certs.d")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			if f.tree != nil {
				f.tree.write(t, filepath.Join(root, hostDir))
			}
			if f.user {
				withoutRoot(t, root, func() { compare(t, f, root, excepted[f.name]) })
			} else {
				compare(t, f, root, excepted[f.name])
			}
		})
	}
	for name := range excepted {
		if !seen[name] {
			t.Errorf("the exception %q names no fixture", name)
		}
	}
	t.Logf("%d fixtures, %d exceptions", len(seen), len(excepted))
}

// compare reads the fixture with everybody.
func compare(t *testing.T, f fixture, root string, e exception) {
	host := load(t, root, hostDir)
	own := ours(t, host)
	expect(t, f, host)
	for _, o := range oracles() {
		theirs, err := o.read(filepath.Join(root, hostDir))
		if (err != nil) != f.refusedBy(o) {
			t.Errorf("%s: error %v, want one: %v", o.name, err, f.refusedBy(o))
		}
		if err != nil {
			if reported := host == nil || len(host.Problems) > 0; reported == f.fine {
				t.Errorf("%s refuses it (%v), and certproxy reports: %v", o.name, err, reported)
			}
			continue
		}
		switch diff := difference(t, theirs, own); {
		case diff != "" && e.because == "":
			t.Errorf("%s: %s", o.name, diff)
		case diff == "" && e.because != "":
			t.Errorf("%s takes the same: the exception is not needed any more", o.name)
		}
	}
}

// expect holds certproxy's reading against what stands with the fixture.
func expect(t *testing.T, f fixture, host *certs.Host) {
	t.Helper()
	if host == nil {
		host = &certs.Host{}
	}
	var names []string
	for _, p := range host.Pairs {
		names = append(names, p.Name)
		if err := signs(p.TLS()); err != nil {
			t.Errorf("pair %s: the key does not sign for the leaf: %v", p.Name, err)
		}
	}
	if got := strings.Join(names, " "); got != f.pairs || len(host.CARoots) != f.roots {
		t.Errorf("certproxy has pairs %q and %d CA roots, want %q and %d; problems: %v", got, len(host.CARoots), f.pairs, f.roots, host.Problems)
	}
	if f.refuse != nobody && host.Dir != "" && host.Action == certs.Tunnel {
		t.Error("a directory that an oracle refuses leads to a silent tunnel")
	}
}

// signs has the key sign as a TLS 1.3 client does, and the leaf verify it.
func signs(c *tls.Certificate) error {
	message := []byte("certificate verify")
	key := c.PrivateKey.(crypto.Signer)
	algorithm, options, digest := x509.PureEd25519, crypto.SignerOpts(crypto.Hash(0)), message
	if c.Leaf.PublicKeyAlgorithm != x509.Ed25519 {
		h := crypto.SHA256.New()
		h.Write(message)
		options, digest = crypto.SHA256, h.Sum(nil)
		algorithm = x509.ECDSAWithSHA256
		if c.Leaf.PublicKeyAlgorithm == x509.RSA {
			algorithm = x509.SHA256WithRSA
		}
	}
	signature, err := key.Sign(rand.Reader, digest, options)
	if err != nil {
		return err
	}
	return c.Leaf.CheckSignature(algorithm, message, signature)
}
