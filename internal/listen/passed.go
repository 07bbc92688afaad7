package listen

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// take returns what systemd passed under a name.
func take(spec Spec, passed []Passed) ([]net.Listener, error) {
	var out []net.Listener
	var names []string
	for _, p := range passed {
		if p.Name == spec.Addr {
			out = append(out, p.Listener)
		} else {
			names = append(names, fmt.Sprintf("%q", p.Name))
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot listen on %s: systemd passed no sockets; start the service by its socket unit "+
			"(systemctl start certproxy.socket), or choose HOST:PORT", spec)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("cannot listen on %s: systemd passed %s and no %q; set FileDescriptorName=%[3]s in the socket unit, or name what was passed",
		spec, strings.Join(slices.Compact(names), ", "), spec.Addr)
}

// adopt returns the passed socket that has the very address of a spec, or nil.
func adopt(spec Spec, passed []Passed) net.Listener {
	for _, p := range passed {
		if spec.is(p.Listener.Addr()) {
			return p.Listener
		}
	}
	return nil
}

// is reports whether a socket with the address is what the spec means.
func (s Spec) is(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.UnixAddr:
		return s.Kind == Unix && s.Addr == addr.Name
	case *net.TCPAddr:
		if s.Kind != TCP {
			return false
		}
		at := addr.AddrPort()
		if s.Addr == ":"+strconv.Itoa(addr.Port) {
			return at.Addr() == netip.IPv6Unspecified()
		}
		return s.Addr == at.String()
	}
	return false
}

// Unused returns the names of the passed sockets that no spec takes. Their clients
// connect and then wait for ever: systemd listens on them, and nobody accepts.
func Unused(passed []Passed, specs []Spec) []string {
	var names []string
	for _, p := range passed {
		if !slices.ContainsFunc(specs, func(s Spec) bool { return s.Kind == Systemd && s.Addr == p.Name || s.is(p.Listener.Addr()) }) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
