package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// trimBOM removes the byte-order mark some editors put before the first line,
// which would hide a PEM block that starts there.
func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// parseCARoots returns every certificate of a .crt file. Blocks that are no
// certificate or do not parse are passed over, as Docker does
// (x509.CertPool.AppendCertsFromPEM).
func parseCARoots(data []byte) []*x509.Certificate {
	var roots []*x509.Certificate
	for rest := trimBOM(data); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return roots
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			roots = append(roots, c)
		}
	}
}

// parsePair joins a chain and a key. Its errors are Problems with a kind, a detail
// and inCert, which tells the file at fault; the caller adds the path and the hint.
func parsePair(certPEM, keyPEM []byte) (cert tls.Certificate, p *Problem, inCert bool) {
	certPEM, keyPEM = trimBOM(certPEM), trimBOM(keyPEM)
	if detail := missingBlock(certPEM, "CERTIFICATE"); detail != "" {
		return tls.Certificate{}, &Problem{Kind: ErrNotPEM, Detail: detail}, true
	}
	if detail, kind := keyFault(keyPEM); detail != "" {
		return tls.Certificate{}, &Problem{Kind: kind, Detail: detail}, false
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	switch {
	case err == nil:
		return cert, nil, false
	case strings.Contains(err.Error(), "does not match"):
		return tls.Certificate{}, &Problem{Kind: ErrMismatch}, false
	case strings.Contains(err.Error(), "private key"):
		return tls.Certificate{}, &Problem{Kind: ErrNotPEM, Detail: "the key does not parse"}, false
	default:
		// X509KeyPair's text about certificates holds no key material.
		return tls.Certificate{}, &Problem{Kind: ErrNotPEM, Detail: strings.TrimPrefix(err.Error(), "tls: ")}, true
	}
}

// missingBlock says why data has no PEM block of the type, or "".
func missingBlock(data []byte, typ string) string {
	found := ""
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == typ {
			return ""
		}
		found = block.Type
	}
	return describe(data, typ, found)
}

// keyFault says why data has no private key that can be used, or "".
func keyFault(data []byte) (string, Kind) {
	found := ""
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY") {
			found = block.Type
			continue
		}
		// PKCS #8, or the header of RFC 1421.
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return "it needs a passphrase, and a proxy has nobody to ask", ErrEncrypted
		}
		return "", ""
	}
	return describe(data, "PRIVATE KEY", found), ErrNotPEM
}

// describe says what a file without the wanted PEM block holds instead.
func describe(data []byte, want, found string) string {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return "the file is empty"
	case found != "":
		return fmt.Sprintf("no %s block; it holds a block %.40q", want, found)
	case data[0] == 0x30: // an ASN.1 SEQUENCE
		return fmt.Sprintf("no %s block; it looks like DER or PKCS#12", want)
	case bytes.Contains(data, []byte("-----BEGIN")):
		return fmt.Sprintf("no whole %s block; it may be half-written", want)
	default:
		return fmt.Sprintf("no %s block", want)
	}
}

// holdsKey reports whether a .cert file carries its own private key.
func holdsKey(data []byte) bool {
	detail, kind := keyFault(trimBOM(data))
	return detail == "" || kind == ErrEncrypted
}

// KeyType names a certificate's key as people do: "RSA 4096", "ECDSA P-256".
func KeyType(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return c.PublicKeyAlgorithm.String()
	}
}
