//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// backlog is more than any kernel keeps waiting: each cuts it down to its own bound.
const backlog = 1<<16 - 1

// A unixListener is a socket that takes its file away with it. Its
// connections are *[net.UnixConn], which can be asked for the peer's user.
type unixListener struct {
	*net.UnixListener

	path string
	info fs.FileInfo // the socket as we made it
	lock *lock
	once sync.Once
}

// openUnix makes a unix socket. Three things could go wrong in ways that only an attacker
// or a bad day shows:
//
//   - The socket is open to more than it should be, for a moment. So it is bound with
//     the narrowest mode, and nobody can connect before listen(2), by which time it has the
//     right one. The umask is not touched: all goroutines share it.
//   - Two processes take a dead one's socket for free, and the slower removes that of the
//     faster. So there is a lock, from before the look until after the end.
//   - What is removed is not a dead socket: see makeRoom.
func openUnix(ctx context.Context, spec Spec) (net.Listener, error) {
	gid, err := groupID(spec)
	if err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, spec)
	if err != nil {
		return nil, err
	}
	l, err := bind(ctx, spec, gid)
	if err != nil {
		lock.release()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

func bind(ctx context.Context, spec Spec, gid int) (*unixListener, error) {
	if err := makeRoom(ctx, spec); err != nil {
		return nil, err
	}
	path := spec.Addr
	fd, err := socket()
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", spec, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	// Linux gives the file the mode of the descriptor, less the umask. For the group
	// it is opened below, once it is the right group. Others refuse, and need not do it.
	_ = syscall.Fchmod(fd, uint32(narrow(spec)))
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return nil, pathError(spec, err)
	}
	info, err := setAccess(path, spec.Mode, gid)
	if err == nil {
		err = syscall.Listen(fd, backlog)
	}
	var l net.Listener
	if err == nil {
		l, err = net.FileListener(f) // has a descriptor of its own
	}
	if err != nil {
		remove(path, info)
		return nil, accessError(spec, err)
	}
	return &unixListener{UnixListener: l.(*net.UnixListener), path: path, info: info}, nil
}

// narrow is the mode of a socket that may not have its group yet.
func narrow(spec Spec) fs.FileMode {
	if spec.Group != "" {
		return spec.Mode & 0o700
	}
	return spec.Mode
}

func socket() (int, error) {
	syscall.ForkLock.RLock() // no child is made between the two
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, err
}

// Close ends the listener, and removes its file unless that is another's by now.
func (l *unixListener) Close() error {
	// Before the descriptor is closed: as long as it is open, no other file can have
	// the same inode.
	l.once.Do(func() { remove(l.path, l.info) })
	err := l.UnixListener.Close()
	l.lock.release()
	return err
}

// remove removes a socket if it is the one that is meant.
func remove(path string, meant fs.FileInfo) {
	if found, err := os.Lstat(path); err == nil && meant != nil && os.SameFile(found, meant) {
		_ = os.Remove(path) // what stays is found dead by the next start
	}
}

// pathError says why a file cannot be made.
func pathError(spec Spec, err error) error {
	dir := filepath.Dir(spec.Addr)
	var what *fs.PathError
	if errors.As(err, &what) {
		err = what.Err
	}
	cannot := "cannot listen on " + spec.String()
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: there is no directory %s; make it (mkdir -p %[2]s), or let systemd do so with RuntimeDirectory= in the unit", cannot, dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: something in %s is not a directory; choose another path", cannot, dir)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: permission denied in %s; let certproxy's user write there, or choose a directory of its own", cannot, dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %s is read-only; under systemd, use a directory of RuntimeDirectory= or ReadWritePaths=", cannot, dir)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: another program has just made that file; see which (ss -xlp src %s), or choose another path", cannot, spec.Addr)
	}
	return fmt.Errorf("%s: %w", cannot, err)
}

func accessError(spec Spec, err error) error {
	if spec.Group != "" && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("cannot listen on %s: certproxy's user may not give a file to the group %s; make it a member "+
			"(usermod -aG %[2]s USER, or SupplementaryGroups=%[2]s in the unit)", spec, spec.Group)
	}
	return pathError(spec, err)
}
