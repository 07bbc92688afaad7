package oracle

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containers/image/v5/pkg/tlsclientconfig"
	"github.com/docker/docker/registry"

	"github.com/certproxy/certproxy/certs"
)

// An oracle is another reader of host directories. Its error means that it refuses
// the whole directory.
type oracle struct {
	name string
	read func(dir string) (reading, error)
}

func oracles() []oracle {
	return []oracle{
		{docker, func(dir string) (reading, error) {
			var c tls.Config
			err := registry.ReadCertsDirectory(&c, dir)
			return reading{c.Certificates, c.RootCAs}, err
		}},
		{containersImage, func(dir string) (reading, error) {
			var c tls.Config
			err := tlsclientconfig.SetupCertificates(dir, &c)
			return reading{c.Certificates, c.RootCAs}, err
		}},
	}
}

const (
	docker          = "docker"
	containersImage = "containers/image"
)

// A reading is what somebody takes from a host directory.
type reading struct {
	pairs []tls.Certificate
	roots *x509.CertPool // nil: the system roots alone
}

// ours is certproxy's reading of the same directory. A directory that is no host's
// leads to a tunnel: no pair and no CA root.
func ours(t *testing.T, host *certs.Host) reading {
	t.Helper()
	var out reading
	if host == nil {
		return out
	}
	out.roots = systemPool(t)
	for _, c := range host.CARoots {
		out.roots.AddCert(c)
	}
	for _, p := range host.Pairs {
		out.pairs = append(out.pairs, *p.TLS())
	}
	return out
}

func systemPool(t *testing.T) *x509.CertPool {
	t.Helper()
	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// difference says in one line how two readings differ, or "".
func difference(t *testing.T, theirs, ours reading) string {
	t.Helper()
	var out []string
	if !slices.EqualFunc(theirs.pairs, ours.pairs, samePair) {
		out = append(out, fmt.Sprintf("pairs %s, certproxy has %s", describe(theirs.pairs), describe(ours.pairs)))
	}
	for _, r := range []*reading{&theirs, &ours} {
		if r.roots == nil {
			r.roots = systemPool(t)
		}
	}
	if !theirs.roots.Equal(ours.roots) {
		out = append(out, "other CA roots")
	}
	return strings.Join(out, "; ")
}

// samePair compares the whole chains, byte by byte, and the keys.
func samePair(a, b tls.Certificate) bool {
	return slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal) && samePublic(public(a), public(b))
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func public(c tls.Certificate) crypto.PublicKey {
	if s, ok := c.PrivateKey.(crypto.Signer); ok {
		return s.Public()
	}
	return nil
}

// describe lists pairs by the names of their leaves and the lengths of their chains.
func describe(pairs []tls.Certificate) string {
	var out []string
	for _, p := range pairs {
		out = append(out, fmt.Sprintf("%s+%d", p.Leaf.Subject.CommonName, len(p.Certificate)-1))
	}
	return "[" + strings.Join(out, " ") + "]"
}

// load reads a root with certproxy and returns the host of one of its directories,
// or nil where the directory is no host's.
func load(t *testing.T, root, dir string) *certs.Host {
	t.Helper()
	index := certs.NewStore([]certs.Root{certs.Dir(root)}, nil).Index()
	if err := index.Err(); err != nil {
		t.Fatal(err)
	}
	authority, err := certs.ParseAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	host, ok := index.Lookup(authority)
	if ok && host.Dir != filepath.Join(root, dir) {
		t.Fatalf("certproxy read %s, want %s", host.Dir, filepath.Join(root, dir))
	}
	return host
}
