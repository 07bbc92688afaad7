//go:build unix

package ca

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestPermitDNS(t *testing.T) {
	c := newTestCA(t, Options{PermitDNS: []string{"Corp.Example.", "lab.example", "corp.example"}})
	want := []string{"permitted DNS:corp.example", "permitted DNS:lab.example", "excluded IP:0.0.0.0/0", "excluded IP:::/0"}
	if got := c.Constraints(); !slices.Equal(got, want) {
		t.Errorf("Constraints = %q", got)
	}
	if !c.Certificate().PermittedDNSDomainsCritical {
		t.Error("the name constraints are not critical")
	}
	for _, name := range []string{"corp.example", "registry.corp.example", "A.B.Corp.Example", "x.lab.example"} {
		verifyLeaf(t, c, name, c.Certificate())
		if out, ok := opensslVerify(t, c, name, pemOf(c.Certificate())); !ok {
			t.Errorf("openssl verify %s: %s", name, out)
		}
	}
	for _, name := range []string{"example", "other.example", "evilcorp.example", "corp.example.evil", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
		words := []string{
			"permitted DNS:corp.example", "permitted DNS:lab.example", "excluded IP:0.0.0.0/0",
			"certproxy ca init --state " + c.dir,
		}
		if !strings.Contains(name, ":") && name[0] > '9' {
			words = append(words, "--permit-dns corp.example --permit-dns lab.example --permit-dns "+name)
		}
		wantError(t, c.Permits(name), ErrNotPermitted, words...)
		_, err := c.Leaf(name)
		wantError(t, err, ErrNotPermitted, words...)
		// And a client would refuse it, so that the key alone cannot do more.
		if verify(must(c.mint(must(parseHost(name)).String(), c.now())), c.Certificate()) == nil {
			t.Errorf("Go accepts %s outside the constraints", name)
		}
		if out, ok := opensslVerify(t, c, name, pemOf(c.Certificate())); ok || !strings.Contains(out, "subtree violation") {
			t.Errorf("openssl verify %s outside the constraints: %s", name, out)
		}
	}
	if n := c.leaves.Len(); n != 4 {
		t.Errorf("%d names are kept, want the 4 permitted ones", n)
	}
}

func TestPermitDNSFaults(t *testing.T) {
	for domain, words := range map[string][]string{
		"":                       {"empty"},
		".":                      {"empty"},
		".corp.example":          {"first label", "before corp.example"},
		"*.corp.example":         {"first label", "before corp.example"},
		"192.0.2.1":              {"IP address"},
		"2001:db8::1":            {"IP address"},
		"bücher.example":         {"xn--"},
		"https://corp.example":   {"it holds ':'"},
		"corp..example":          {"label"},
		"corp.example,x.example": {"it holds ','"},
		strings.Repeat("a", 64):  {"63 bytes"},
	} {
		dir := t.TempDir()
		_, err := Create(dir, Options{PermitDNS: []string{"ok.example", domain}})
		wantError(t, err, ErrDomain, append(words, fmt.Sprintf("%.100q", domain))...)
		if got := listDir(t, dir); got != nil {
			t.Errorf("left behind: %q", got)
		}
	}
}

// TestPermitsAgreesWithGo holds Permits to crypto/x509 for CAs of every make.
func TestPermitsAgreesWithGo(t *testing.T) {
	cidr := func(s string) *net.IPNet {
		_, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	names := []string{
		"corp.example", "a.corp.example", "b.a.corp.example", "xcorp.example", "example", "other", "no.corp.example", "x.no.corp.example",
		"192.0.2.1", "198.51.100.7", "2001:db8::1", "2001:db9::1",
	}
	for name, edit := range map[string]func(*x509.Certificate){
		"none":               func(*x509.Certificate) {},
		"domain":             func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"corp.example"} },
		"domain in capitals": func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"CORP.Example"} },
		"leading dot":        func(c *x509.Certificate) { c.PermittedDNSDomains = []string{".corp.example"} },
		"every domain":       func(c *x509.Certificate) { c.PermittedDNSDomains = []string{""} },
		"excluded":           func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"no.corp.example"} },
		"excluded in it": func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.ExcludedDNSDomains = []string{"corp.example"}, []string{".no.corp.example"}
		},
		"every one excluded": func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{""} },
		"addresses":          func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{cidr("192.0.2.0/24")} },
		"IPv6 only":          func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{cidr("2001:db8::/32")} },
		"address excluded":   func(c *x509.Certificate) { c.ExcludedIPRanges = []*net.IPNet{cidr("192.0.2.0/25"), cidr("::/0")} },
		"mixed": func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedIPRanges = []string{"corp.example", "other"}, []*net.IPNet{cidr("192.0.2.0/24")}
			c.ExcludedIPRanges = []*net.IPNet{cidr("192.0.2.1/32")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := sign(t, nil, edit)
			below := sign(t, root, func(c *x509.Certificate) { c.Subject.CommonName = "below" })
			for _, top := range []*CA{must(Load(bringCA(t, root))), must(Load(bringCA(t, below)))} {
				for _, name := range names {
					byGo := verify(must(top.mint(name, top.now())), root.X509)
					if err := top.Permits(name); (err == nil) != (byGo == nil) {
						t.Errorf("Permits(%s) = %v, crypto/x509 says %v", name, err, byGo)
					}
				}
			}
		})
	}
}

// TestAddressUnderADomainConstraint: openssl takes a common name for a DNS name
// where there is no other, so an address must not stand there.
func TestAddressUnderADomainConstraint(t *testing.T) {
	root := sign(t, nil, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"corp.example"} })
	c := must(Load(bringCA(t, root)))
	verifyLeaf(t, c, "192.0.2.1", root.X509)
	if out, ok := opensslVerify(t, c, "192.0.2.1", root.CertPEM()); !ok {
		t.Errorf("openssl verify: %s", out)
	}
}
