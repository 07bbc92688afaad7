package environment

import (
	"net"
	"net/netip"
	"strings"
)

// KeepProxied returns what NO_PROXY has to say so that no listed host (name:port)
// bypasses the proxy, and the entries that are left out for that. Nothing is lost
// with them: certproxy obeys the whole of it on its own way to a host.
func KeepProxied(noProxy string, listed []string) (kept string, dropped []string) {
	var keep []string
	for entry := range strings.SplitSeq(noProxy, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if excludesAny(entry, listed) {
			dropped = append(dropped, entry)
		} else {
			keep = append(keep, entry)
		}
	}
	return strings.Join(keep, ","), dropped
}

func excludesAny(entry string, listed []string) bool {
	for _, authority := range listed {
		if excludes(entry, authority) {
			return true
		}
	}
	return false
}

// excludes reports whether some client takes the entry to mean the host. Clients
// differ: to curl "example" and ".example" are the same, to Go the second is only what
// lies below.
func excludes(entry, authority string) bool {
	name, port, err := net.SplitHostPort(authority)
	if err != nil {
		return false
	}
	if entry == "*" {
		return true
	}
	entry = strings.ToLower(entry)
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		ip, err := netip.ParseAddr(name)
		return err == nil && prefix.Contains(ip.Unmap())
	}
	if host, p, err := net.SplitHostPort(entry); err == nil {
		if p != port {
			return false
		}
		entry = host
	}
	entry = strings.TrimPrefix(strings.TrimPrefix(strings.Trim(entry, "[]"), "*"), ".")
	entry = strings.TrimSuffix(entry, ".")
	return entry != "" && (name == entry || strings.HasSuffix(name, "."+entry))
}

// loopback reports whether a host is this machine by its name.
func loopback(authority string) bool {
	name, _, err := net.SplitHostPort(authority)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}
