package certs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ParseAuthority returns the canonical form of a request's authority (RFC 3986
// section 3.2): name:port in lower case, without a trailing dot, in ASCII, IPv6 in
// brackets. The port is required.
//
// It is strict, because its result names a directory and a destination: userinfo,
// slashes, "..", "%" (and so IPv6 zones), control characters and anything that is
// neither a host name nor an IP address are errors.
func ParseAuthority(s string) (string, error) {
	canonical, err := parseAuthority(s)
	if err != nil {
		return "", fmt.Errorf("authority %.100q: %w", WithoutSecrets(s), err)
	}
	return canonical, nil
}

// WithoutSecrets returns what may be shown of a text that should be an authority: not
// the user and password in front of it, and no query or fragment behind it.
func WithoutSecrets(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || strings.ContainsAny(scheme, "@/?#") {
		scheme, rest = "", s
	} else {
		scheme += "://"
	}
	if at, path := strings.LastIndexByte(rest, '@'), strings.IndexAny(rest, "/?#"); path >= 0 && path < at {
		return "(not shown)" // an @ in a path, or a slash in a password: nobody can tell
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if query := strings.IndexAny(rest, "?#"); query >= 0 {
		rest = rest[:query]
	}
	return scheme + rest
}

// ParseHost returns the authority of a host as people write it: name:port, or the
// name alone, which is port 443.
func ParseHost(s string) (string, error) {
	spec, _ := withPort(s)
	return ParseAuthority(spec)
}

// withPort adds port 443 to a host that is written without a port.
func withPort(s string) (spec string, added bool) {
	switch {
	case strings.HasSuffix(s, "]"), !strings.Contains(s, ":"):
		return s + ":443", true
	case strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "["):
		return net.JoinHostPort(s, "443"), true // IPv6 without brackets: its last group could be a port
	}
	return s, false
}

func parseAuthority(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty; use host:port")
	}
	if i := strings.IndexAny(s, "@/\\%?#"); i >= 0 {
		return "", fmt.Errorf("%q is not allowed; use host:port", s[i])
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errors.New("not of the form host:port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
		return "", fmt.Errorf("port %.20q is not a number from 1 to 65535", port)
	}
	if strings.HasPrefix(s, "[") {
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() {
			return "", errors.New("no IPv6 address between the brackets")
		}
		return net.JoinHostPort(ip.Unmap().String(), port), nil
	}
	name, err := parseName(host)
	if err != nil {
		return "", err
	}
	return name + ":" + port, nil
}

// parseName canonicalises a host name or an IPv4 address.
func parseName(s string) (string, error) {
	for i := range len(s) {
		if s[i] >= 0x80 {
			// UTS 46 as browsers apply it; the ASCII rules below then check the result.
			ascii, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", errors.New("not an internationalised domain name")
			}
			s = ascii
			break
		}
	}
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", errors.New("host name is empty or longer than 253 bytes")
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return "", errors.New("host name has a label that is empty or longer than 63 bytes")
		}
		for i := range len(label) {
			// The underscore is no letter of a host name (RFC 952), but Compose
			// and Kubernetes users name their registries with it.
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", fmt.Errorf("%q is not allowed in a host name", c)
			}
		}
	}
	// "127.1" and "0x7f.1" are addresses to some resolvers and names to others.
	// Refusing them keeps one meaning for what is looked up and what is dialled.
	if last := labels[len(labels)-1]; looksNumeric(last) {
		if ip, err := netip.ParseAddr(s); err != nil || !ip.Is4() {
			return "", errors.New("ends in a number but is no IPv4 address")
		}
	}
	return s, nil
}

// looksNumeric reports whether a resolver could read the label as a number, in the
// decimal, octal or hexadecimal form of inet_aton.
func looksNumeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
