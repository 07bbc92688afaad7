// Package strength answers one question: which TLS is too weak, where the standard
// library still lets it pass?
//
// Versions below 1.2, RSA key exchange, 3DES, RC4 and signatures with SHA-1 or MD5 are
// not here, since package tls and package x509 refuse them by themselves.
package strength

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// MinRSABits is the shortest RSA key that proves who a server is: less gives below 112
// bits of security (NIST SP 800-57 part 1, table 2), and no public CA has signed for
// less since 2014 (CA/Browser Forum baseline requirements, section 6.1.5).
const MinRSABits = 2048

// CipherSuites returns the suites that clients are offered in TLS 1.2, those of TLS 1.3
// are always the same: ephemeral keys and authenticated encryption (RFC 9325 section
// 4.2). What is left out is AES-CBC with SHA-1, which no client of this decade needs.
func CipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// A ShortKeyError is a certificate whose RSA key is too short to prove anything.
type ShortKeyError struct {
	Subject string // of the certificate
	Bits    int    // of its key
}

// Error implements error.
func (e *ShortKeyError) Error() string {
	return fmt.Sprintf("the certificate of %q has an RSA key of %d bits, and fewer than %d can be broken", e.Subject, e.Bits, MinRSABits)
}

// Chain returns a [*ShortKeyError] for the first certificate of a chain, the root
// included, whose key is too short, or nil.
func Chain(chain []*x509.Certificate) error {
	for _, c := range chain {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < MinRSABits {
			return &ShortKeyError{Subject: c.Subject.String(), Bits: key.N.BitLen()}
		}
	}
	return nil
}

// Peer returns nil where one of the chains by which a server was verified has no key
// that is too short. It is what a [tls.Config] may have as VerifyConnection.
func Peer(state tls.ConnectionState) error {
	var err error
	for _, chain := range state.VerifiedChains {
		if err = Chain(chain); err == nil {
			return nil
		}
	}
	return err
}
