package ca

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"
)

const (
	leafLifetime = 7 * 24 * time.Hour
	maxLeaves    = 1024 // kept at once; a leaf and its chain take about 4 KiB
)

// A slot is the place of one host's leaf. Its lock is the single flight: who comes
// while the leaf is being minted waits for that one.
type slot struct {
	mu   sync.Mutex
	leaf *tls.Certificate // nil until one could be minted
}

// Leaf returns the certificate to show for a host name or an IP address (no port,
// no brackets), with Leaf set and the chain behind it, without the root. It is minted
// on the first call, then kept until less than a third of its life remains or the
// clock leaves its dates. The caller must not change it.
//
// It fails for what [CA.Permits] refuses, and when the CA itself is not valid now.
func (c *CA) Leaf(name string) (*tls.Certificate, error) {
	s, ok := c.leaves.Get(name)
	if !ok {
		h, err := parseHost(name)
		if err != nil {
			return nil, err
		}
		// Only what may be signed gets a slot, so nobody drives out the good ones
		// with names that are refused.
		if err := c.permits(h); err != nil {
			return nil, err
		}
		name = h.String()
		s = c.slot(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := c.now()
	if s.leaf != nil && c.fresh(s.leaf.Leaf, now) {
		return s.leaf, nil
	}
	leaf, err := c.mint(name, now)
	if err != nil {
		return nil, fmt.Errorf("leaf for %s: %w", name, err)
	}
	s.leaf = leaf
	return leaf, nil
}

// slot returns the one slot of a canonical name, new or not.
func (c *CA) slot(name string) *slot {
	mine := new(slot)
	if theirs, ok, _ := c.leaves.PeekOrAdd(name, mine); ok {
		return theirs
	}
	return mine
}

// fresh reports whether a leaf can be shown for some time to come.
func (c *CA) fresh(leaf *x509.Certificate, now time.Time) bool {
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return false
	}
	if !leaf.NotAfter.Before(c.chain[0].NotAfter) {
		return true // it ends with the CA: a new one would not last longer
	}
	return leaf.NotAfter.Sub(now) >= leaf.NotAfter.Sub(leaf.NotBefore)/3
}

// mint makes a leaf for a canonical name.
func (c *CA) mint(name string, now time.Time) (*tls.Certificate, error) {
	signer := c.chain[0]
	if fault := checkTime(signer, now); fault != nil {
		fault.About = filepath.Join(c.dir, CertFile)
		return nil, fault
	}
	h, err := parseHost(name)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             later(now.Add(-skew), signer.NotBefore),
		NotAfter:              earlier(now.Add(leafLifetime), signer.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if h.dns != "" {
		template.DNSNames = []string{h.dns}
		if len(h.dns) <= maxCommonName {
			template.Subject.CommonName = h.dns
		}
	} else {
		template.IPAddresses = []net.IP{h.ip.AsSlice()}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, c.leafKey.Public(), c.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	chain := append([][]byte{der}, c.behind...)
	return &tls.Certificate{Certificate: chain, PrivateKey: c.leafKey, Leaf: leaf}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
