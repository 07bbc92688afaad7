//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package listen

import (
	"io/fs"
	"net"
	"os"
	"syscall"
)

// setAccess gives a socket its group and then its mode. There is nobody who can connect yet.
func setAccess(path string, mode fs.FileMode, gid int) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, syscall.EADDRINUSE // somebody has put another file there
	}
	if gid >= 0 {
		if err := os.Lchown(path, -1, gid); err != nil {
			return info, err
		}
	}
	return info, os.Chmod(path, mode)
}

// listenerOf cannot be asked in the same way on all of these.
func listenerOf(*net.UnixConn) string { return "" }

// ListenerPID returns the process that began to listen at the other end of a client's
// connection, or 0: it cannot be asked in the same way on all of these.
func ListenerPID(*net.UnixConn) int { return 0 }
