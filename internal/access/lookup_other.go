//go:build !linux

package access

import (
	"net"
	"net/netip"
)

// A Lookup finds out who is at the other end of connections: on Linux. Elsewhere
// every peer on this machine is unknown.
type Lookup struct{}

// NewLookup returns a Lookup.
func NewLookup() *Lookup { return &Lookup{} }

// Close gives back nothing.
func (*Lookup) Close() error { return nil }

// Peer returns where the peer of an accepted connection is.
func (*Lookup) Peer(conn net.Conn) *Peer {
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return &Peer{Local: true, Why: ErrNotSupported}
	}
	addr := remote.Addr().Unmap()
	if isOwn(addr) {
		return &Peer{Local: true, Addr: addr, Why: ErrNotSupported}
	}
	return &Peer{Addr: addr, Why: ErrRemote}
}
