package access

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is a type of service that nothing else uses: its code point is one for local use
// (RFC 2474 section 6), and it is put on connections within this machine alone. Setting it
// takes no privilege, and whoever has it is less than they would be without.
const mark = 0x9c

// Disown marks a connection, before it is made, as carrying bytes for another user. The
// kernel names its owner, which is this process's user; where that one may use identities, at
// another certproxy or at this one's admin listener, whoever is served here would be taken for
// them. [Lookup.Peer] sees the mark and calls the peer unknown.
//
// network is "tcp4" or "tcp6", as [net.Dialer.ControlContext] has it.
func Disown(network string, c syscall.RawConn) error {
	var marked error
	err := c.Control(func(fd uintptr) {
		if network == "tcp6" {
			marked = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, mark)
		} else {
			marked = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, mark)
		}
	})
	if err == nil {
		err = marked
	}
	return err
}
