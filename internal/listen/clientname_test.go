package listen

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClientName(t *testing.T) {
	uri := must(url.Parse("spiffe://example/ns/build"))
	cn := func(name string) x509.Certificate { return x509.Certificate{Subject: pkix.Name{CommonName: name}} }
	all := x509.Certificate{DNSNames: []string{"a.example", "b.example"}, EmailAddresses: []string{"a@example"}, URIs: []*url.URL{uri}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}
	mail, spiffe, ip := all, all, all
	mail.DNSNames = nil
	spiffe.DNSNames, spiffe.EmailAddresses = nil, nil
	ip.DNSNames, ip.EmailAddresses, ip.URIs = nil, nil, nil
	blank := all
	blank.Subject.CommonName = " \t"
	named := all
	named.Subject.CommonName = "alice"
	for _, c := range []struct {
		cert x509.Certificate
		want string
	}{
		{cn("alice"), "alice"}, {named, "alice"}, {blank, "a.example"}, {all, "a.example"}, {mail, "a@example"},
		{spiffe, "spiffe://example/ns/build"}, {ip, "10.0.0.1"}, {x509.Certificate{}, ""}, {cn(""), ""},
		{cn("Zoë Ångström"), "Zoë Ångström"},
		{cn("a\nlevel=error"), "a\uFFFDlevel=error"}, {cn("a\x1b[2J\x00"), "a\uFFFD[2J\uFFFD"},
		{cn("a\u202eb"), "a\uFFFDb"}, {cn("a\xffb"), "a\uFFFDb"}, {cn("a\u00a0b\u2028"), "a\uFFFDb\uFFFD"},
		{cn(strings.Repeat("x", 255)), strings.Repeat("x", 255)},
		{cn(strings.Repeat("x", 256)), strings.Repeat("x", 252) + "…"},
		{cn(strings.Repeat("é", 200)), strings.Repeat("é", 126) + "…"},
	} {
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{&c.cert}}
		if got := ClientName(state); got != "" {
			t.Errorf("a certificate that was not verified is %q", got)
		}
		state.VerifiedChains = [][]*x509.Certificate{{&c.cert}}
		if got := ClientName(state); got != c.want {
			t.Errorf("ClientName = %q, want %q", got, c.want)
		}
	}
}

func FuzzClientName(f *testing.F) {
	f.Add("alice")
	f.Add("a\x00\u202e\xff")
	f.Fuzz(func(t *testing.T, name string) {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
		got := ClientName(tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}})
		holdsNoControl(t, got)
		if len(got) > maxClientName || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}
