// Package throwaway makes certificate authorities, certificates and keys that
// live for one demo or one test.
//
// Nothing it makes is meant to be trusted by anybody for longer than the process
// runs. Its functions panic instead of returning an error: only a broken random
// source or a mistake in the caller could make them fail.
package throwaway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A Certificate is one certificate with its private key, and what it was issued by.
type Certificate struct {
	X509   *x509.Certificate
	Key    crypto.Signer
	Issuer *Certificate // nil when self-signed
}

// Options describe a certificate to issue. The zero value is an ECDSA P-256
// certificate for client and server use, valid from an hour ago until tomorrow.
type Options struct {
	Name                string        // common name
	Hosts               []string      // DNS names and IP addresses
	CA                  bool          // may sign others
	Key                 crypto.Signer // nil makes an ECDSA P-256 key
	NotBefore, NotAfter time.Time
	Usage               []x509.ExtKeyUsage // nil means client and server; empty means no extension at all
}

// NewCA returns a self-signed certificate authority.
func NewCA(name string) *Certificate {
	return issue(nil, Options{Name: name, CA: true, Usage: []x509.ExtKeyUsage{}})
}

// SelfSigned returns a certificate signed by its own key.
func SelfSigned(o Options) *Certificate { return issue(nil, o) }

// Issue returns a certificate signed by c.
func (c *Certificate) Issue(o Options) *Certificate { return issue(c, o) }

func issue(issuer *Certificate, o Options) *Certificate {
	key := o.Key
	if key == nil {
		key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))),
		Subject:               pkix.Name{CommonName: o.Name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  o.CA,
	}
	if !o.NotBefore.IsZero() {
		template.NotBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		template.NotAfter = o.NotAfter
	}
	if o.Usage != nil {
		template.ExtKeyUsage = o.Usage
	}
	if o.CA {
		template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(key.Public())))
		template.SubjectKeyId = id[:20]
	}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.X509, issuer.Key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return &Certificate{X509: must(x509.ParseCertificate(der)), Key: key, Issuer: issuer}
}

// CertPEM returns the certificate alone as PEM.
func (c *Certificate) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.X509.Raw})
}

// ChainPEM returns the certificate and its issuers as PEM, without the self-signed root.
func (c *Certificate) ChainPEM() []byte {
	out := c.CertPEM()
	for up := c.Issuer; up != nil && up.Issuer != nil; up = up.Issuer {
		out = append(out, up.CertPEM()...)
	}
	return out
}

// KeyPEM returns the private key as PKCS#8 PEM.
func (c *Certificate) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(c.Key))})
}

// TLS returns the chain and key in the form crypto/tls takes.
func (c *Certificate) TLS() tls.Certificate {
	return must(tls.X509KeyPair(c.ChainPEM(), c.KeyPEM()))
}

// Pool returns a pool that trusts exactly c.
func (c *Certificate) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.X509)
	return pool
}

// WritePair writes name.cert (the chain) and name.key (0600) into dir, making dir if needed.
func (c *Certificate) WritePair(dir, name string) {
	write(dir, name+".cert", c.ChainPEM(), 0o644)
	write(dir, name+".key", c.KeyPEM(), 0o600)
}

// WriteRoot writes name.crt, the certificate alone, into dir, making dir if needed.
func (c *Certificate) WriteRoot(dir, name string) {
	write(dir, name+".crt", c.CertPEM(), 0o644)
}

func write(dir, name string, data []byte, mode os.FileMode) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		panic(fmt.Sprintf("throwaway: %v", err))
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, mode); err != nil {
		panic(fmt.Sprintf("throwaway: %v", err))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("throwaway: %v", err))
	}
	return v
}
