// Package ca is the local certificate authority: it answers which certificate to
// show a client that asks for a host.
//
// A CA lives in a state directory as [CertFile] and [KeyFile]. It is made once, by
// [Create] or [LoadOrCreate], or brought by the operator; either way it is read by
// [Load]. From then on it mints leaves in memory, one per host. The package opens no
// connection, starts no goroutine and writes no log line. Whom a client trusts is
// left to others.
//
// The CA's key can sign for every host its name constraints allow. So it is never
// written but to [KeyFile] (0600), and no error and no fmt verb shows any of it.
package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// The files of a CA in its state directory.
const (
	CertFile = "ca.crt" // the certificate, and its issuers if it has any; PEM
	KeyFile  = "ca.key" // its private key; PEM
)

// A CA signs leaves. It is safe for concurrent use.
type CA struct {
	dir     string              // the state directory, for errors
	chain   []*x509.Certificate // the CA's own certificate, then its issuers
	behind  [][]byte            // what a leaf's chain carries behind the leaf, as DER
	key     crypto.Signer       // of chain[0]
	leafKey *ecdsa.PrivateKey   // of every leaf, and never written anywhere
	leaves  *lru.Cache[string, *slot]
	now     func() time.Time
}

func newCA(dir string, chain []*x509.Certificate, key crypto.Signer, now func() time.Time) (*CA, error) {
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaves, err := lru.New[string, *slot](maxLeaves)
	if err != nil {
		return nil, err
	}
	c := &CA{dir: dir, chain: chain, key: key, leafKey: leafKey, leaves: leaves, now: now}
	for _, cert := range chain {
		// Clients have the root already, or do not trust it: RFC 8446 section 4.4.2.
		if selfSigned(cert) {
			break
		}
		c.behind = append(c.behind, cert.Raw)
	}
	return c, nil
}

// Certificate returns the CA's own certificate. The caller must not change it.
func (c *CA) Certificate() *x509.Certificate { return c.chain[0] }

// Fingerprint returns the SHA-256 of the CA's certificate in the form that
// openssl x509 -noout -fingerprint -sha256 prints: "AB:CD:...".
func (c *CA) Fingerprint() string {
	sum := sha256.Sum256(c.chain[0].Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Owns reports whether cert is the CA's own certificate or another one for the
// same key. Trusting it for a server would mean that certproxy trusts itself.
func (c *CA) Owns(cert *x509.Certificate) bool {
	return cert != nil && (cert.Equal(c.chain[0]) || samePublic(cert.PublicKey, c.key.Public()))
}

// Format prints the subject and the fingerprint, whatever the verb, so that no log
// can hold a key. The receiver is a value for the sake of copies: an Ed25519 key
// inside one would otherwise be printed in full.
func (c CA) Format(s fmt.State, _ rune) {
	if len(c.chain) == 0 {
		_, _ = io.WriteString(s, "no CA")
		return
	}
	_, _ = fmt.Fprintf(s, "%s, SHA-256 %s", c.chain[0].Subject, c.Fingerprint())
}

// samePublic compares two public keys.
func samePublic(a, b crypto.PublicKey) bool {
	public, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b)
}

// selfSigned reports whether a certificate is a root.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
