//go:build unix

package proxy

import (
	"net"
	"syscall"
)

// quiet reports whether a connection is open and nothing has come in on it. An
// unused connection on which something came in was closed by the other side, or is
// about to be.
func quiet(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true // not of the kernel's: its next use tells
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	none := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		none = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && none
}
