package ca

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Permits returns nil if the name constraints of the CA, and of its issuers in the
// file, allow a leaf for a host name or an IP address. Else errors.Is(err,
// [ErrNotPermitted]), and the error says what they allow and how to change it.
func (c *CA) Permits(name string) error {
	h, err := parseHost(name)
	if err != nil {
		return err
	}
	return c.permits(h)
}

func (c *CA) permits(h host) error {
	if !slices.ContainsFunc(c.chain, func(cert *x509.Certificate) bool { return !allows(cert, h) }) {
		return nil
	}
	return &Error{
		Kind: ErrNotPermitted, About: h.String(),
		Detail: strings.Join(c.Constraints(), ", "),
		Hint:   c.remedy(h),
	}
}

// Constraints lists the name constraints on DNS names and IP addresses, first the
// CA's own: "permitted DNS:corp.example", "excluded IP:0.0.0.0/0". Nil means that
// the CA may sign for every host.
func (c *CA) Constraints() []string {
	var out []string
	add := func(line string) {
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	for _, cert := range c.chain {
		for _, d := range cert.PermittedDNSDomains {
			add("permitted DNS:" + d)
		}
		for _, n := range cert.PermittedIPRanges {
			add("permitted IP:" + n.String())
		}
		for _, d := range cert.ExcludedDNSDomains {
			add("excluded DNS:" + d)
		}
		for _, n := range cert.ExcludedIPRanges {
			add("excluded IP:" + n.String())
		}
	}
	return out
}

// remedy says how to get a CA that permits a host besides what this one permits.
func (c *CA) remedy(h host) string {
	command := "certproxy ca init --state " + quote(c.dir)
	if h.dns == "" {
		command += " (without --permit-dns, which excludes every IP address)"
	} else {
		for _, d := range append(slices.Clone(c.chain[0].PermittedDNSDomains), h.dns) {
			if d = strings.TrimPrefix(d, "."); d != "" {
				command += " --permit-dns " + quote(d)
			}
		}
	}
	return fmt.Sprintf("to change that, move %s and %s in %s away, put a CA that permits it there or run: %s, and let the clients trust the new one",
		CertFile, KeyFile, c.dir, command)
}

// allows applies RFC 5280 section 4.2.1.10: an exclusion always wins, and where a
// kind of name has permissions at all, one must match.
func allows(cert *x509.Certificate, h host) bool {
	if h.dns != "" {
		in := func(domain string) bool { return below(h.dns, domain) }
		return !slices.ContainsFunc(cert.ExcludedDNSDomains, in) &&
			(len(cert.PermittedDNSDomains) == 0 || slices.ContainsFunc(cert.PermittedDNSDomains, in))
	}
	ip := net.IP(h.ip.AsSlice())
	in := func(n *net.IPNet) bool { return len(n.IP) == len(ip) && n.Contains(ip) }
	return !slices.ContainsFunc(cert.ExcludedIPRanges, in) &&
		(len(cert.PermittedIPRanges) == 0 || slices.ContainsFunc(cert.PermittedIPRanges, in))
}

// below reports whether a name is a domain or lies below it. The empty domain holds
// every name; a leading dot, undefined by the RFC for DNS names, leaves out the domain
// itself, as in Go and OpenSSL.
func below(name, domain string) bool {
	domain = strings.ToLower(domain)
	switch {
	case domain == "" || name == domain:
		return true
	case strings.HasPrefix(domain, "."):
		return strings.HasSuffix(name, domain)
	default:
		return strings.HasSuffix(name, "."+domain)
	}
}
