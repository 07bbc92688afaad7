package access

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// A question names one TCP socket of this machine, seen from its own side. IPv4-mapped
// addresses are written as IPv4: the kernel then finds sockets of both families.
type question struct {
	local, remote netip.AddrPort
	iface         uint32 // that of link-local addresses
}

func (q question) reversed() question {
	return question{local: q.remote, remote: q.local, iface: q.iface}
}

// A socket is what the kernel says of it.
type socket struct {
	state      uint8
	uid, inode uint32
	disowned   bool
}

// sizes of struct nlmsghdr, inet_diag_req_v2 and inet_diag_msg.
const (
	headerSize   = 16
	requestSize  = headerSize + 56
	answerSize   = headerSize + 72
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY

	diagTOS          = 5 // INET_DIAG_TOS, of IPv4
	diagTrafficClass = 6 // INET_DIAG_TCLASS, of IPv6
)

// A sockDiag asks the kernel's table of sockets.
type sockDiag struct {
	mu   sync.Mutex // one question at a time: its answer is there when sending returns
	open bool
	fd   int
	seq  uint32
}

// ask returns the socket of exactly this question, or ErrGone.
func (d *sockDiag) ask(q question) (socket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		if err != nil {
			return socket{}, fmt.Errorf("cannot ask the kernel for the client's user (a service unit has to allow AF_NETLINK): %w", err)
		}
		d.fd, d.open = fd, true
	}
	s, err := d.exchange(q)
	if err != nil && !errors.Is(err, ErrGone) {
		// Whatever is left in this socket is none of the next question's business.
		_ = unix.Close(d.fd)
		d.open = false
	}
	return s, err
}

func (d *sockDiag) exchange(q question) (socket, error) {
	d.seq++
	if err := unix.Sendto(d.fd, q.message(d.seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return socket{}, fmt.Errorf("cannot ask the kernel for the client's user: %w", err)
	}
	var buf [512]byte
	for {
		// The kernel answers before sending returns, so there is nothing to wait for.
		n, from, err := unix.Recvfrom(d.fd, buf[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return socket{}, fmt.Errorf("the kernel did not say who the client's user is: %w", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // not the kernel
		}
		s, mine, err := parseAnswer(buf[:n], d.seq, q)
		if mine {
			return s, err
		}
	}
}

func (d *sockDiag) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return nil
	}
	d.open = false
	return unix.Close(d.fd)
}

func (q question) message(seq uint32) []byte {
	b := make([]byte, requestSize)
	native := binary.NativeEndian
	native.PutUint32(b[0:], requestSize)
	native.PutUint16(b[4:], diagByFamily)
	native.PutUint16(b[6:], unix.NLM_F_REQUEST) // without NLM_F_DUMP: this one socket
	native.PutUint32(b[8:], seq)
	req := b[headerSize:]
	req[0] = unix.AF_INET6
	if q.local.Addr().Is4() {
		req[0] = unix.AF_INET
	}
	req[1] = unix.IPPROTO_TCP
	req[2] = 1<<(diagTOS-1) | 1<<(diagTrafficClass-1)
	native.PutUint32(req[4:], ^uint32(0)) // states; not looked at for one socket
	id := req[8:]
	binary.BigEndian.PutUint16(id[0:], q.local.Port())
	binary.BigEndian.PutUint16(id[2:], q.remote.Port())
	copy(id[4:20], q.local.Addr().AsSlice())
	copy(id[20:36], q.remote.Addr().AsSlice())
	native.PutUint32(id[36:], q.iface)
	native.PutUint32(id[40:], ^uint32(0)) // no cookie
	native.PutUint32(id[44:], ^uint32(0))
	return b
}

// parseAnswer reads one datagram. mine is false for an answer to another question.
func parseAnswer(b []byte, seq uint32, q question) (s socket, mine bool, err error) {
	native := binary.NativeEndian
	if len(b) < headerSize || native.Uint32(b[8:]) != seq {
		return socket{}, false, nil
	}
	size := native.Uint32(b[0:])
	switch kind := native.Uint16(b[4:]); {
	case uint64(size) > uint64(len(b)):
		return socket{}, true, errors.New("the kernel's answer about the client's user is cut off")
	case kind == unix.NLMSG_ERROR && size >= headerSize+4:
		errno := unix.Errno(-int32(native.Uint32(b[headerSize:]))) //nolint:gosec // an int of C, negative (netlink(7), struct nlmsgerr)
		if errno == unix.ENOENT {
			return socket{}, true, ErrGone
		}
		return socket{}, true, fmt.Errorf("the kernel did not say who the client's user is: %w", errno)
	case kind != diagByFamily || size < answerSize:
		return socket{}, true, errors.New("the kernel's answer about the client's user is of a kind that is not known")
	}
	msg := b[headerSize:]
	id := msg[4:]
	local, ok := endpoint(msg[0], id[4:20], id[0:2])
	remote, ok2 := endpoint(msg[0], id[20:36], id[2:4])
	if !ok || !ok2 || local != q.local || remote != q.remote {
		return socket{}, true, ErrGone // a listener on the client's port
	}
	return socket{state: msg[1], uid: native.Uint32(msg[64:]), inode: native.Uint32(msg[68:]), disowned: hasMark(b[answerSize:size])}, true, nil
}

// hasMark looks for the mark of [Disown] among the attributes (struct rtattr) behind an answer.
func hasMark(b []byte) bool {
	native := binary.NativeEndian
	for len(b) >= 4 {
		size, kind := int(native.Uint16(b)), native.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return false
		}
		if (kind == diagTOS || kind == diagTrafficClass) && size > 4 && b[4] == mark {
			return true
		}
		b = b[min(len(b), (size+3)&^3):] // each begins at a multiple of four
	}
	return false
}

func endpoint(family byte, addr, port []byte) (netip.AddrPort, bool) {
	p := binary.BigEndian.Uint16(port)
	switch family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), p), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(addr)).Unmap(), p), true
	}
	return netip.AddrPort{}, false
}
