package ca

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxCommonName is the upper bound of RFC 5280 appendix A.1, in characters.
const maxCommonName = 64

// A host is what a leaf is for: a DNS name, or else an IP address.
type host struct {
	dns string // lower case, without a trailing dot
	ip  netip.Addr
}

func (h host) String() string {
	if h.dns != "" {
		return h.dns
	}
	return h.ip.String()
}

// parseHost canonicalises a host name or an IP address.
func parseHost(s string) (host, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return host{ip: ip.Unmap()}, nil
	}
	name := canonicalDNS(s)
	if fault := dnsFault(name); fault != "" {
		return host{}, &Error{
			Kind: ErrName, About: fmt.Sprintf("%.100q", s), Detail: fault,
			Hint: "use registry.example or 192.0.2.1, without port or brackets",
		}
	}
	return host{dns: name}, nil
}

// parseDomains canonicalises the domains of a name constraint; see [Options].
func parseDomains(list []string) ([]string, error) {
	var out []string
	seen := make(map[string]bool)
	for _, s := range list {
		name := canonicalDNS(s)
		e := &Error{Kind: ErrDomain, About: fmt.Sprintf("%.100q", s), Hint: "use a domain such as corp.example, which permits every host below it too"}
		if _, err := netip.ParseAddr(name); err == nil {
			e.Detail = "it is an IP address"
			return nil, e
		}
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "*.") {
			e.Hint = "leave out what stands before " + strings.TrimLeft(name, "*.") + ": a domain permits every host below it too"
			e.Detail = "a domain begins with its first label"
			return nil, e
		}
		if e.Detail = dnsFault(name); e.Detail != "" {
			return nil, e
		}
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out, nil
}

func canonicalDNS(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// dnsFault says why a canonical name is no DNS name, or "". Underscores are
// allowed: Compose and Kubernetes users name their registries with them.
func dnsFault(name string) string {
	if name == "" || len(name) > 253 {
		return "it is empty or longer than 253 bytes"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "it has a label that is empty or longer than 63 bytes"
		}
		for _, c := range label {
			switch {
			case c > 0x7f:
				return "it is not ASCII; write its xn--... form"
			case (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_':
				return "it holds " + fmt.Sprintf("%q", c)
			}
		}
	}
	return ""
}
