package access

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Lookup finds out who is at the other end of connections. It is safe for concurrent
// use, and holds one netlink socket, of the network namespace in which it is first used.
type Lookup struct {
	tables sockDiag
	users  idMap
	gids   idMap
}

// NewLookup returns a Lookup. It opens nothing yet: a netlink socket that
// cannot be had is why a peer is unknown.
func NewLookup() *Lookup {
	return &Lookup{
		users: readIDMap("/proc/self/uid_map", "/proc/sys/kernel/overflowuid"),
		gids:  readIDMap("/proc/self/gid_map", "/proc/sys/kernel/overflowgid"),
	}
}

// Close gives the netlink socket back. A later Peer opens another.
func (l *Lookup) Close() error { return l.tables.close() }

// Peer returns who is at the other end of an accepted connection, which may be wrapped
// as crypto/tls does it. Ask right after accepting: of a client that sent its
// request and left, nobody can tell who it was.
func (l *Lookup) Peer(conn net.Conn) *Peer {
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return &Peer{Local: true, Why: ErrNotSupported}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return &Peer{Local: true, Why: err}
	}
	peer := &Peer{Local: true, Why: ErrNotSupported}
	err = raw.Control(func(fd uintptr) { peer = l.peer(int(fd), conn) })
	if err != nil {
		return &Peer{Local: true, Why: fmt.Errorf("connection is closed: %w", err)}
	}
	return peer
}

func (l *Lookup) peer(fd int, conn net.Conn) *Peer {
	remote, err := unix.Getpeername(fd)
	if err != nil {
		return gonePeer(conn, fmt.Errorf("%w: %w", ErrGone, err))
	}
	if _, ok := remote.(*unix.SockaddrUnix); ok {
		return l.unixPeer(fd)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return &Peer{Local: true, Why: err}
	}
	own, ownIf, ok := addrPort(local)
	client, clientIf, ok2 := addrPort(remote)
	if !ok || !ok2 {
		return &Peer{Local: true, Why: ErrNotSupported}
	}
	if client.Addr() != own.Addr() && !isOwn(client.Addr()) {
		return &Peer{Addr: client.Addr(), Why: ErrRemote}
	}
	peer := &Peer{Local: true, Addr: client.Addr()}
	uid, err := l.owner(fd, question{local: client, remote: own, iface: max(ownIf, clientIf)})
	if err == nil {
		err = l.users.real(uid)
	}
	if err != nil {
		peer.Why = err
		return peer
	}
	peer.Way, peer.uid = BySocketTable, uid
	return peer
}

// gonePeer is for a connection that was reset: the kernel has let go of the client's
// address, but not of what it sent before, which will be read and answered. So where it came from
// still matters, and was noted when it was accepted: to users of this machine tunnels are open.
func gonePeer(conn net.Conn, why error) *Peer {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return &Peer{Local: true, Why: why} // a unix socket
	}
	client := remote.AddrPort().Addr().Unmap()
	if own, ok := conn.LocalAddr().(*net.TCPAddr); ok && own.AddrPort().Addr().Unmap() == client || isOwn(client) {
		return &Peer{Local: true, Addr: client, Why: why}
	}
	return &Peer{Addr: client, Why: why}
}

// owner returns the uid that owns the client's end of our connection.
//
// Each of these would be a wrong name, most often root's, if it were believed:
//
//   - a socket whose process has closed it (an orphan) and one in TIME_WAIT
//     have the inode 0 and, in many kernels, the uid 0;
//   - a handshake that is not complete is reported with the uid 0 as well;
//   - where no connection matches, the kernel answers with a listener on the client's
//     port, whoever's that is;
//   - the client is gone, and somebody else's new socket has its port: it is in SYN_SENT as
//     long as our end is in the table, and established only when our end was reset;
//   - the owner is a certproxy, which carries bytes for somebody else: see [Disown];
//   - our connection is of another network namespace (a passed socket), and
//     the same addresses and ports are somebody else's in this one.
//
// So the answer has to have the client's addresses and ports, a state in which both
// sides have seen the handshake, and an inode. Then, and not before, our own end is looked up:
// when it is in the same table under the same addresses with the inode of our descriptor, it
// was there at the first answer too, and nobody else can have been connected to it.
func (l *Lookup) owner(fd int, q question) (uint32, error) {
	client, err := l.tables.ask(q)
	if err != nil {
		return 0, err
	}
	switch client.state {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2, unix.BPF_TCP_CLOSE_WAIT:
	default:
		return 0, ErrGone
	}
	if client.inode == 0 {
		return 0, ErrGone
	}
	if client.disowned {
		return 0, ErrDisowned
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	own, err := l.tables.ask(q.reversed())
	if err != nil {
		return 0, err
	}
	if own.inode == 0 || uint64(own.inode) != st.Ino {
		return 0, ErrGone
	}
	return client.uid, nil
}

func (l *Lookup) unixPeer(fd int) *Peer {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil {
		err = l.users.real(cred.Uid)
	}
	if err != nil {
		return &Peer{Local: true, Why: err}
	}
	peer := &Peer{Way: ByCredentials, Local: true, uid: cred.Uid}
	groups, told := peerGroups(fd)
	peer.told = told
	for _, gid := range append(groups, cred.Gid) {
		if l.gids.real(gid) == nil {
			peer.groups = append(peer.groups, gid)
		}
	}
	return peer
}

// peerGroups returns the supplementary groups with which the peer of a unix socket
// connected, if the kernel knows how (since 4.13).
func peerGroups(fd int) ([]uint32, bool) {
	buf := make([]byte, 64*4)
	for {
		size := uint32(len(buf)) //nolint:gosec // 256, or what the kernel named as 32 bits
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // getsockopt(2) writes no more than size into buf
		switch {
		case errors.Is(errno, unix.ERANGE) && int(size) > len(buf):
			buf = make([]byte, size)
			continue
		case errno != 0 || int(size) > len(buf):
			return nil, false
		}
		groups := make([]uint32, size/4)
		for i := range groups {
			groups[i] = binary.NativeEndian.Uint32(buf[4*i:])
		}
		return groups, true
	}
}

// addrPort returns an address with IPv4-mapped ones as IPv4, and the interface of
// a link-local one.
func addrPort(sa unix.Sockaddr) (netip.AddrPort, uint32, bool) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), 0, true //nolint:gosec // the kernel has 16 bits
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)), sa.ZoneId, true //nolint:gosec // the kernel has 16 bits
	}
	return netip.AddrPort{}, 0, false
}
