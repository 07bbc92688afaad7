package ca

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Checked when it is loaded, since a client would only say "unknown authority". The
// *Errors have no About, which the caller adds.

// checkChain returns what keeps the first certificate from signing leaves that
// clients accept, or nil.
func checkChain(chain []*x509.Certificate) *Error {
	signer := chain[0]
	if !signer.BasicConstraintsValid || !signer.IsCA {
		return notCA("its basic constraints do not say CA:TRUE")
	}
	if signer.KeyUsage != 0 && signer.KeyUsage&x509.KeyUsageCertSign == 0 {
		return notCA("its key usage lacks keyCertSign")
	}
	// No extension allows everything. In a CA it limits what it issues: not by RFC
	// 5280, but Go, OpenSSL and Windows all hold leaves to it.
	if len(signer.ExtKeyUsage)+len(signer.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return notCA("its extended key usage lacks serverAuth")
	}
	for i, issuer := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(issuer); err != nil {
			return &Error{
				Kind:   ErrChain,
				Detail: fmt.Sprintf("certificate %d (%s) is not issued by certificate %d (%s): %v", i+1, chain[i].Subject, i+2, issuer.Subject, err),
				Hint:   "order them: the CA's own certificate, then its issuer, then that one's",
			}
		}
		// Below it are i+1 CAs; RFC 5280 section 4.2.1.9. -1 is no limit.
		if below := i + 1; issuer.MaxPathLen >= 0 && (issuer.MaxPathLen > 0 || issuer.MaxPathLenZero) && issuer.MaxPathLen < below {
			return &Error{
				Kind:   ErrChain,
				Detail: fmt.Sprintf("certificate %d (%s) allows a path length of %d, and %d CAs are below it", i+2, issuer.Subject, issuer.MaxPathLen, below),
				Hint:   "ask its owner for a CA that may have one below",
			}
		}
	}
	return nil
}

func notCA(detail string) *Error {
	return &Error{
		Kind: ErrNotCA, Detail: detail,
		Hint: "put a CA there (openssl: basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign), its own certificate first",
	}
}

// checkTime returns what is wrong with the CA's dates, or nil.
func checkTime(signer *x509.Certificate, now time.Time) *Error {
	switch {
	case now.After(signer.NotAfter):
		return &Error{
			Kind: ErrExpired, Detail: fmt.Sprintf("it ended at %s, and the clock says %s", stamp(signer.NotAfter), stamp(now)),
			Hint: "if the clock is right (timedatectl), move " + CertFile + " and " + KeyFile + " away, restart certproxy, and let the clients trust the new CA",
		}
	case now.Before(signer.NotBefore):
		return &Error{
			Kind: ErrNotYetValid, Detail: fmt.Sprintf("it begins at %s, and the clock says %s", stamp(signer.NotBefore), stamp(now)),
			Hint: "check this machine's clock (timedatectl), or wait until then",
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
