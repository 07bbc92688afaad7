//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// probeTimeout bounds the wait for a listener to take a connection; the kernel
// answers for it, at once or, when its queue is full, not at all.
const probeTimeout = time.Second

// makeRoom removes the socket that a dead process left behind. It follows no link, and
// leaves alone whatever is no socket, whatever answers, and whatever it cannot tell.
func makeRoom(ctx context.Context, spec Spec) error {
	path := spec.Addr
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return pathError(spec, err)
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("cannot listen on %s: it is a symbolic link, which is not followed; name where it leads, or remove it", spec)
	case info.IsDir():
		return fmt.Errorf("cannot listen on %s: it is a directory; name a socket in it", spec)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("cannot listen on %s: the file there is not a socket, and is left alone; choose another path, or remove it", spec)
	}
	holder, err := probe(ctx, path)
	switch {
	case err == nil:
		return inUse(spec, holder)
	case errors.Is(err, syscall.ECONNREFUSED):
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone since
	case ctx.Err() != nil:
		return fmt.Errorf("cannot listen on %s: %w", spec, ctx.Err())
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: the socket there is another user's, and whether it is in use cannot be told; "+
			"see by whom (ss -xlp src %s), and remove it if by nobody", spec, path)
	default:
		return inUse(spec, "")
	}
	if again, err := os.Lstat(path); err != nil || !os.SameFile(info, again) {
		return inUse(spec, "") // another's, made just now
	}
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot listen on %s: a dead process left a socket there, and certproxy's user may not remove it; "+
			"remove it (rm %s), and choose a directory of certproxy's own", spec, path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return pathError(spec, err)
	}
	return nil
}

// probe asks who listens on a socket. The answer is empty where the kernel does not tell.
func probe(ctx context.Context, path string) (holder string, err error) {
	dialer := net.Dialer{Timeout: probeTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return listenerOf(conn.(*net.UnixConn)), nil
}

func inUse(spec Spec, holder string) error {
	by := "see by whom (ss -xlp src " + spec.Addr + ")"
	if holder != "" {
		by = "it is " + holder + "'s"
	}
	return fmt.Errorf("cannot listen on %s: the socket is in use; %s, or choose another path with --listen", spec, by)
}
