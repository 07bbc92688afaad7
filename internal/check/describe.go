package check

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certproxy/certproxy/internal/upstreamproxy"
	"github.com/certproxy/certproxy/proxy"
)

// describe writes what was seen of the server and each pair into the report.
func (a *asking) describe() {
	p := a.first()
	s := &Server{}
	if asked := a.asked(); asked || p.TLS.HandshakeComplete {
		s.Asked = &asked
	}
	a.report.Server = s
	if p.Addr != nil {
		s.Address = p.Addr.String()
	}
	s.Through = a.through()
	if p.TLS.Version != 0 {
		s.TLSVersion = tls.VersionName(p.TLS.Version)
		if p.TLS.HandshakeComplete {
			s.Cipher = tls.CipherSuiteName(p.TLS.CipherSuite)
		}
	}
	for _, c := range p.Peer {
		s.Chain = append(s.Chain, certificate(c))
	}
	if len(p.TLS.VerifiedChains) > 0 {
		chain := p.TLS.VerifiedChains[0]
		root := chain[len(chain)-1]
		s.VerifiedBy, s.VerifiedFrom = name(root), "system"
		if file := a.host.CARootFile(root); file != "" {
			s.VerifiedFrom = file
		}
	}
	for _, p := range a.list {
		if p.Requested != nil {
			for _, raw := range p.Requested.AcceptableCAs {
				s.AcceptableCAs = append(s.AcceptableCAs, rawName(raw))
			}
			break
		}
	}
	for i, p := range a.list {
		t := Tried{Verdict: p.Verdict, Outcome: p.Outcome, Used: i == a.chosen}
		if p.Pair != nil {
			c := certificate(p.Pair.Leaf())
			t.Pair, t.CertFile, t.Certificate = p.Pair.Name, p.Pair.CertFile, &c
			if p.Requested != nil && len(p.Requested.AcceptableCAs) > 0 {
				ok := acceptable(p)
				t.IssuerAcceptable = &ok
			}
		}
		if p.Refusal != nil && !wantsPair(p) {
			t.Outcome = p.Refusal.Text
		}
		a.report.Pairs = append(a.report.Pairs, t)
	}
	for _, pair := range a.host.Pairs[min(len(a.list), len(a.host.Pairs)):] {
		c := certificate(pair.Leaf())
		a.report.Pairs = append(a.report.Pairs, Tried{Pair: pair.Name, CertFile: pair.CertFile, Certificate: &c,
			Verdict: "not tried", Outcome: "not tried", Why: "no other pair could help"})
	}
	if a.chosen >= 0 && a.list[a.chosen].Answer != nil {
		a.report.Answer = answer(a.list[a.chosen])
	}
}

// through describes the proxy of the site by which the host is reached.
func (a *asking) through() string {
	route, err := upstreamproxy.New(upstreamproxy.Config{URL: a.Proxy.UpstreamProxy, Getenv: a.withoutOurselves(), Dial: noDial})
	if err != nil {
		return "" // proxy.Probe has said so
	}
	return route.Via(a.Target.Host)
}

func certificate(c *x509.Certificate) Certificate {
	out := Certificate{Subject: name(c), Issuer: printable(c.Issuer.String()), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Names: slices.Clone(c.DNSNames)}
	for _, ip := range c.IPAddresses {
		out.Names = append(out.Names, ip.String())
	}
	for i, n := range out.Names {
		out.Names[i] = printable(n)
	}
	return out
}

// name is a certificate's subject, or, where that is empty, its first name.
func name(c *x509.Certificate) string {
	switch s := c.Subject.String(); {
	case s != "":
		return printable(s)
	case len(c.DNSNames) > 0:
		return printable(c.DNSNames[0])
	}
	return "a certificate without a subject"
}

// rawName is a distinguished name as servers send it (RFC 5246 section 7.4.4).
func rawName(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return "unreadable name " + hex.EncodeToString(raw[:min(len(raw), 32)])
	}
	var n pkix.Name
	n.FillFromRDNSequence(&sequence)
	return printable(n.String())
}

// acceptable reports whether a certificate of the pair's chain was issued by one of the
// CAs that the server names.
func acceptable(p proxy.Probed) bool {
	for _, der := range p.Pair.TLS().Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(p.Requested.AcceptableCAs, func(raw []byte) bool { return bytes.Equal(raw, c.RawIssuer) }) {
			return true
		}
	}
	return false
}

// answer describes an answer, leaving out what may be secret.
func answer(p proxy.Probed) *Answer {
	out := &Answer{Status: p.Answer.Status, Header: []string{}}
	for k, values := range p.Answer.Header {
		for _, v := range values {
			out.Header = append(out.Header, printable(k)+": "+field(k, v))
		}
	}
	slices.Sort(out.Header)
	if p.Answer.Header.Get("Content-Encoding") == "" {
		out.Body = text(p.Body)
	}
	return out
}

// field is a field's value, if nobody could use it to pose as somebody.
func field(name, value string) string {
	const hidden = "(not shown)"
	lower := strings.ToLower(name)
	switch lower {
	case "www-authenticate", "proxy-authenticate":
		return withoutQueries(value) // it is a question
	}
	for _, secret := range []string{"cookie", "auth", "token", "secret", "password", "key", "session", "credential", "signature"} {
		if strings.Contains(lower, secret) {
			return hidden
		}
	}
	return withoutQueries(value)
}

// withoutQueries cuts the query off each URL: signed ones are as good as a password.
func withoutQueries(value string) string {
	var b strings.Builder
	for {
		before, query, ok := strings.Cut(value, "?")
		b.WriteString(before)
		if !ok {
			return printable(b.String())
		}
		b.WriteString("?...")
		end := strings.IndexAny(query, "\"'<> ,;")
		if end < 0 {
			return printable(b.String())
		}
		value = query[end:]
	}
}

// maxShown bounds what is shown of a text that others sent, in bytes.
const maxShown = 400

// printable makes what others sent fit for a terminal: a line without control
// characters.
func printable(s string) string {
	cut := ""
	if len(s) > maxShown {
		s, cut = s[:maxShown], "..."
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s) + cut
}

// text is how a body begins, if it is text; queries in it stay unseen.
func text(body []byte) string {
	if bytes.ContainsRune(body, 0) {
		return fmt.Sprintf("(%s)", http.DetectContentType(body))
	}
	return strings.TrimSpace(printable(withoutQueries(strings.Join(strings.Fields(string(body)), " "))))
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second)/time.Second)))
}
