package access

import (
	"net"
	"net/netip"
)

// isOwn reports whether an address is one of this machine. When that cannot be told it
// is: a peer is then held to the rules for users, and allow_networks does not open.
func isOwn(addr netip.Addr) bool {
	addr = addr.WithZone("")
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}
