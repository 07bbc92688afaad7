package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

func parseTCP(text string) (Spec, error) {
	host, port, err := splitHostPort(text)
	if err != nil {
		return Spec{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil { // not shown: of user:password@host it is the password
		return Spec{}, errors.New("has no port from 0 to 65535; 0 picks one")
	}
	port = strconv.FormatUint(n, 10)
	switch {
	case host == "":
		return Spec{Kind: TCP, Addr: ":" + port}, nil
	case host == "*":
		return Spec{}, fmt.Errorf("has a star; write :%s for all addresses", port)
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1" // not asked of a resolver, which might say otherwise (RFC 6761 section 6.3)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return Spec{}, notAnAddress(host, port)
	}
	zone := ip.Zone()
	ip = ip.Unmap()
	switch {
	case ip.IsMulticast():
		return Spec{}, errors.New("is a multicast address, which no TCP connection can have")
	case ip.Is6() && ip.IsLinkLocalUnicast() && zone == "":
		return Spec{}, fmt.Errorf("is a link-local address, which needs its interface, as in [%s%%eth0]:%s", ip, port)
	case zone != "" && !ip.IsLinkLocalUnicast():
		return Spec{}, errors.New("has a zone, which only link-local addresses have; remove it")
	case strings.ContainsFunc(zone, notInZone):
		return Spec{}, errors.New("has a zone that is not the name of an interface")
	}
	return Spec{Kind: TCP, Addr: net.JoinHostPort(ip.String(), port)}, nil
}

// splitHostPort says what is wrong with what is not HOST:PORT: people write URLs,
// ports alone, and IPv6 without brackets.
func splitHostPort(text string) (host, port string, err error) {
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		if scheme == "https" {
			return "", "", errors.New("is a URL; write tls:HOST:PORT")
		}
		return "", "", errors.New("is a URL; write HOST:PORT")
	}
	host, port, err = net.SplitHostPort(text)
	if err == nil {
		if strings.HasPrefix(text, "[") && !strings.Contains(host, ":") {
			return "", "", errors.New("has brackets, which are for IPv6 addresses only; remove them")
		}
		return host, port, nil
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil && !strings.ContainsFunc(ip.Zone(), notInZone) {
		return "", "", fmt.Errorf("is not of the form HOST:PORT: it has no port; write %s", net.JoinHostPort(ip.String(), "3128"))
	}
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return "", "", fmt.Errorf("is not of the form HOST:PORT: it is a port alone; write 127.0.0.1:%d", n)
	}
	return "", "", errors.New("is not of the form HOST:PORT, unix:PATH or systemd:NAME, with or without tls: before it")
}

func notAnAddress(host, port string) error {
	if strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":") {
		return fmt.Errorf("has a host that is not an IP address; write it as in 127.0.0.1:%s or [::1]:%[1]s", port)
	}
	return fmt.Errorf("has a name for a host; write an address of this machine (ip address lists them), or :%s for all", port)
}

func notInZone(r rune) bool {
	return !unicode.IsPrint(r) || r == unicode.ReplacementChar || strings.ContainsRune(` /=,%[]`, r)
}
