package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math"
	"slices"
	"time"
)

// expiresSoon is how long before its end a certificate becomes a problem.
const expiresSoon = 14 * 24 * time.Hour

// expiry returns the problem that the pair's dates make at a time. The pair is
// tried in its place all the same: the server decides.
func (p *Pair) expiry(now time.Time) (Problem, bool) {
	out := Problem{Pair: p.Name, Path: p.CertFile, Used: true}
	leaf := p.Leaf()
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		out.Kind, out.Detail = ErrNotYetValid, "it begins at "+timestamp(leaf.NotBefore)
		out.Hint = "check this machine's clock (timedatectl), or wait until then"
	case left < 0:
		out.Kind, out.Detail = ErrExpired, "it ended at "+timestamp(leaf.NotAfter)
		out.Hint = "replace " + quote(p.CertFile) + " and " + quote(p.KeyFile) + " with a new pair; certproxy takes it at once"
	case left < expiresSoon:
		out.Kind = ErrExpiresSoon
		out.Detail = fmt.Sprintf("it ends at %s, in %d days", timestamp(leaf.NotAfter), int(math.Ceil(left.Hours()/24)))
		out.Hint = "replace " + quote(p.CertFile) + " and " + quote(p.KeyFile) + " before then"
	default:
		return Problem{}, false
	}
	return out, true
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// isClient reports whether a certificate's extended key usage lets a client show
// it (RFC 5280 section 4.2.1.12: no extension allows everything).
func isClient(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// chainGap says what is wrong with a chain that a server may not be able to join
// to its CA, or "". Only gaps that can be seen are told: a leaf whose issuer is
// nowhere on this machine may well be known to the server. The second result is
// the missing intermediate, where one of the known certificates is it.
func chainGap(chain, known []*x509.Certificate) (string, *x509.Certificate) {
	for i, c := range chain[:len(chain)-1] {
		if !bytes.Equal(c.RawIssuer, chain[i+1].RawSubject) {
			return fmt.Sprintf("certificate %d (%s) is not issued by certificate %d (%s)",
				i+1, c.Subject, i+2, chain[i+1].Subject), nil
		}
	}
	last := chain[len(chain)-1]
	if bytes.Equal(last.RawIssuer, last.RawSubject) {
		return "", nil
	}
	for _, c := range known {
		selfIssued := bytes.Equal(c.RawIssuer, c.RawSubject)
		if c.IsCA && !selfIssued && bytes.Equal(last.RawIssuer, c.RawSubject) && last.CheckSignatureFrom(c) == nil {
			return fmt.Sprintf("it was issued by %s, which the file does not hold", c.Subject), c
		}
	}
	return "", nil
}
