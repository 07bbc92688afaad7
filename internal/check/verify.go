package check

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/proxy"
)

// verification says why a server's certificate does not verify, and what to do.
func (a *asking) verification(p *proxy.Probed, f *Finding) {
	var (
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		unknown   x509.UnknownAuthorityError
	)
	if len(p.Peer) == 0 {
		return // what the proxy says of it stands
	}
	switch {
	case errors.As(p.Err, &wrongName):
		a.wrongName(p.Peer[0], f)
	case errors.As(p.Err, &invalid) && invalid.Reason == x509.Expired:
		a.outOfTime(p, invalid.Cert, f)
	case errors.As(p.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		f.Text = "the server's certificate (" + name(p.Peer[0]) + ") is not meant for servers: its extended key usage has no serverAuth"
		f.Advice = "have it issued again with extendedKeyUsage = serverAuth"
	case errors.As(p.Err, &unknown):
		a.unknownCA(p, f)
	}
}

func (a *asking) wrongName(leaf *x509.Certificate, f *Finding) {
	host, port := split(a.Target.Host)
	names := certificate(leaf).Names
	if len(names) == 0 {
		f.Text = "the server's certificate holds no name at all (its subject is " + name(leaf) + ", and no client looks at that): not " + host + " either"
		f.Advice = "have it issued again with subjectAltName = DNS:" + host
		return
	}
	f.Text = "the name " + host + " is not in the server's certificate, which is for " + some(names, "and")
	other := ""
	for _, n := range names {
		if !strings.HasPrefix(n, "*") {
			other = n
			break
		}
	}
	f.Advice = "have it issued again with subjectAltName = DNS:" + host
	if other != "" {
		if port != "443" {
			other += ":" + port
		}
		f.Fix = "certproxy check " + shell.Quote(other)
		f.Advice = "use that name everywhere, for the directory too, or have the certificate issued again with subjectAltName = DNS:" + host
	}
}

func (a *asking) outOfTime(p *proxy.Probed, c *x509.Certificate, f *Finding) {
	whose := "the server's certificate"
	if c != nil && !c.Equal(p.Peer[0]) {
		whose = "a certificate of the server's chain"
	}
	if c == nil {
		c = p.Peer[0]
	}
	if a.now.Before(c.NotBefore) {
		f.Text = fmt.Sprintf("%s (%s) is not valid yet: it begins at %s, and the clock here says %s", whose, name(c), date(c.NotBefore), date(a.now))
		f.Fix, f.Advice = "timedatectl", "correct the clock here, or wait until then"
		return
	}
	f.Text = fmt.Sprintf("%s (%s) has expired: it ended at %s, and the clock here says %s", whose, name(c), date(c.NotAfter), date(a.now))
	f.Fix, f.Advice = "timedatectl", "if the clock here is right, who runs "+a.Target.Host+" must renew it"
}

// unknownCA tells apart what Go calls unknown authority: a self-signed certificate, a
// CA that is not here, one that is here with another key, and an intermediate that the
// server should have sent.
func (a *asking) unknownCA(p *proxy.Probed, f *Finding) {
	leaf, last := p.Peer[0], lastOf(p.Peer)
	issuer := printable(last.Issuer.String())
	dir := a.host.Dir
	if dir == "" {
		dir = path.Join(a.firstRoot(), a.Target.Host)
	}
	trusted := a.trusted()
	fetch := func(which string) string {
		at := a.Target.Host
		host, _ := split(at)
		cmd := "openssl s_client -connect " + shell.Quote(at) + " -servername " + shell.Quote(strings.Trim(host, "[]")) + " -showcerts </dev/null 2>/dev/null"
		if which == "last" {
			cmd += " | awk '/BEGIN CERT/{c=\"\"} {c=c $0 \"\\n\"} /END CERT/{l=c} END{printf \"%s\", l}'"
		} else {
			cmd += " | openssl x509"
		}
		f.Advice = fmt.Sprintf("first ask its owner whether its SHA-256 fingerprint is %X: whoever is trusted here can pose as the server", sha256.Sum256(last.Raw))
		return "mkdir -p " + shell.Quote(dir) + "\n" + cmd + " > " + shell.Quote(path.Join(dir, "ca.crt"))
	}
	put := "cp CA.pem " + shell.Quote(path.Join(dir, "ca.crt"))
	f.Advice = "CA.pem is the certificate of " + issuer + a.wherePublished(leaf)
	if a.host.Dir == "" {
		put = "mkdir -p " + shell.Quote(dir) + "\n" + put
	}
	switch {
	case a.sameName(last):
		f.Text = "the server's chain ends with a certificate issued by " + issuer + ", and the CA root of that name (" + trusted + ") has another key: the CA was renewed"
		f.Fix = put
	case selfSigned(leaf):
		f.Text = "the server's certificate (" + name(leaf) + ") is self-signed, and it is not among the CA roots: " + trusted
		f.Fix = fetch("leaf")
	case selfSigned(last):
		f.Text = "the server's certificate comes from a CA that is not trusted here: it was issued under " + name(last) + ", and the CA roots are " + trusted
		f.Fix = fetch("last")
	case len(p.Peer) > 1:
		f.Text = "the server's certificate comes from a CA that is not trusted here: its chain leads to " + issuer + ", and the CA roots are " + trusted
		f.Fix = put
	case len(a.host.CARoots) > 0:
		f.Text = "the server sent only its own certificate, issued by " + issuer + ", which is not among the CA roots (" + trusted + "): " +
			"an intermediate certificate is missing from what the server sends, or its CA is another one"
		f.Fix = put
		f.Advice += "; who runs the server can append it to the server's own instead (nginx: ssl_certificate; Apache: SSLCertificateFile)"
	default:
		f.Text = "the server's certificate was issued by " + issuer + ", which is not trusted here: the CA roots are " + trusted
		f.Fix = put
	}
}

// wherePublished names the address at which the issuer says that its certificate is
// (RFC 5280 section 4.2.2.1). It is not fetched: whoever runs it would learn of us.
func (a *asking) wherePublished(c *x509.Certificate) string {
	if len(c.IssuingCertificateURL) == 0 {
		return ""
	}
	return ", published at " + withoutQueries(c.IssuingCertificateURL[0])
}

// trusted names the roots that the server is verified with.
func (a *asking) trusted() string {
	var names []string
	for _, c := range a.host.CARoots {
		names = append(names, name(c)+" in "+a.host.CARootFile(c))
	}
	return strings.Join(append(names, "those of the system"), ", ")
}

// sameName reports whether a CA root has the name of a certificate's issuer.
func (a *asking) sameName(c *x509.Certificate) bool {
	return slices.ContainsFunc(a.host.CARoots, func(root *x509.Certificate) bool {
		return bytes.Equal(root.RawSubject, c.RawIssuer) && !root.Equal(c)
	})
}

func (r *run) firstRoot() string {
	if len(r.Roots) == 0 {
		return "/etc/certproxy/certs.d"
	}
	return r.Roots[0].Path
}

func lastOf(chain []*x509.Certificate) *x509.Certificate { return chain[len(chain)-1] }

func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }
