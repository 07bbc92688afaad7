package listen

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// setAccess gives a socket its group and then its mode. It returns what it looked at, by a
// descriptor, so that a link put there in the meantime leads nowhere.
func setAccess(path string, mode fs.FileMode, gid int) (fs.FileInfo, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Type() != fs.ModeSocket || !ok || int(st.Uid) != os.Geteuid() {
		return nil, syscall.EADDRINUSE // somebody has put another file there
	}
	if gid >= 0 && int(st.Gid) != gid {
		if err := unix.Fchownat(fd, "", -1, gid, unix.AT_EMPTY_PATH); err != nil {
			return info, err
		}
	}
	if info.Mode().Perm() != mode {
		// fchmod(2) refuses such a descriptor, and fchmodat2(2) is of Linux 6.6.
		if err := os.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode); err != nil {
			return info, err
		}
	}
	return info, nil
}

// listenerOf names the process that listens at the other end of a connection.
func listenerOf(conn *net.UnixConn) string {
	if pid := ListenerPID(conn); pid > 0 {
		return fmt.Sprintf("process %d", pid)
	}
	return ""
}

// ListenerPID returns the process that began to listen at the other end of a client's
// connection (SO_PEERCRED of unix(7)), or 0 where that cannot be told: it is in another PID
// namespace.
func ListenerPID(conn *net.UnixConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}
