//go:build unix

package http1

import (
	"net"
	"syscall"
)

// awaitReadable waits until something has come in on a connection, or its read
// deadline is over, and takes none of it. Whatever fails shows with the next read.
//
// A read through TLS waits on a stack that is too deep for the collector to halve it:
// 8 KB for each idle connection, where 4 would do.
func awaitReadable(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return // not of the kernel's
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(peek)
}

// peek reports whether a read would not wait.
func peek(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
}
