package listen

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"unicode"
)

// maxClientName is how many bytes of a name are shown. RFC 5280 allows a common name
// 64 characters; nobody holds a CA to it.
const maxClientName = 255

// ClientName returns the name that a client's certificate proves: its common name, else
// its first DNS name, email address, URI or IP address. It is empty when no certificate was
// verified. What cannot be printed is replaced by U+FFFD, and what is too long ends in
// "…", so that neither is taken for a name that is as it stands.
func ClientName(state tls.ConnectionState) string {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return ""
	}
	return harmless(proven(state.VerifiedChains[0][0]))
}

func proven(cert *x509.Certificate) string {
	switch {
	case strings.TrimSpace(cert.Subject.CommonName) != "":
		return cert.Subject.CommonName
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	case len(cert.EmailAddresses) > 0:
		return cert.EmailAddresses[0]
	case len(cert.URIs) > 0:
		return cert.URIs[0].Redacted()
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	}
	return ""
}

func harmless(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, name)
	if len(name) <= maxClientName {
		return name
	}
	const more = "…"
	return strings.ToValidUTF8(name[:maxClientName-len(more)], "") + more
}
