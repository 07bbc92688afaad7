package rig

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// Identities are one private CA's: a server's certificate and the client
// certificates that a server which trusts that CA refuses or accepts.
type Identities struct {
	CA     *throwaway.Certificate
	Server *throwaway.Certificate

	Expired *throwaway.Certificate // of the CA, since an hour ago
	Wrong   *throwaway.Certificate // of another CA
	Good    *throwaway.Certificate

	Dir string // ca.crt, server.crt, server.key, and the pairs expired, wrong, good
}

// NewIdentities makes them for a server of these names.
func NewIdentities(t testing.TB, names ...string) *Identities {
	t.Helper()
	ca := throwaway.NewCA("upstream CA")
	now := time.Now()
	// Later than certproxy warns of.
	end := now.Add(90 * 24 * time.Hour)
	id := &Identities{
		CA:      ca,
		Server:  ca.Issue(throwaway.Options{Name: names[0], Hosts: names, NotAfter: end}),
		Expired: ca.Issue(throwaway.Options{Name: "expired", NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}),
		Wrong:   throwaway.NewCA("another CA").Issue(throwaway.Options{Name: "wrong", NotAfter: end}),
		Good:    ca.Issue(throwaway.Options{Name: "good", NotAfter: end}),
		Dir:     Dir(t),
	}
	Write(t, id.Dir, "ca.crt", ca.CertPEM(), 0o644)
	Write(t, id.Dir, "server.crt", id.Server.ChainPEM(), 0o644)
	Write(t, id.Dir, "server.key", id.Server.KeyPEM(), 0o600)
	// HAProxy wants both in one file.
	Write(t, id.Dir, "server.pem", append(id.Server.ChainPEM(), id.Server.KeyPEM()...), 0o600)
	id.Expired.WritePair(id.Dir, "expired")
	id.Wrong.WritePair(id.Dir, "wrong")
	id.Good.WritePair(id.Dir, "good")
	return id
}

// CAFile is what clients of the server have to trust.
func (id *Identities) CAFile() string { return filepath.Join(id.Dir, "ca.crt") }

// Pair is the path of one of the pairs without .cert and .key, for curl.
func (id *Identities) Pair(name string) string { return filepath.Join(id.Dir, name) }

// Direct is a curl without certproxy that trusts the server.
func (id *Identities) Direct() Curl { return Curl{CAFile: id.CAFile()} }

// HostDir makes certs.d/HOST with the CA and pairs, in the given order: a, b, c.
func (id *Identities) HostDir(certs, host string, pairs ...*throwaway.Certificate) string {
	dir := filepath.Join(certs, host)
	id.CA.WriteRoot(dir, "ca")
	for i, p := range pairs {
		p.WritePair(dir, string(rune('a'+i)))
	}
	return dir
}
