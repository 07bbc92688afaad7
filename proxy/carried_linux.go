package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// bytesCarried is how many bytes the peer of a TCP connection has acknowledged, and how
// many have come from it (tcp(7), TCP_INFO; RFC 4898, HCThruOctetsAcked and
// HCThruOctetsReceived). Of what is not TCP, and when the connection has ended, it is 0.
func bytesCarried(c net.Conn) uint64 {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	n := uint64(0)
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked + info.Bytes_received
		}
	})
	return n
}
