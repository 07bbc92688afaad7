//go:build unix

package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// take makes listeners of the descriptors from 3 on. Nothing is closed before all of them are
// known to be what systemd passes: with a wrong count they are the runtime's own.
func take(count int, names []string) ([]Socket, error) {
	for i := range count {
		if err := check(firstFD + i); err != nil {
			return nil, fmt.Errorf("socket %q (descriptor %d) that systemd passed %w", names[i], firstFD+i, err)
		}
	}
	sockets := make([]Socket, 0, count)
	var errs []error
	for i := range count {
		syscall.CloseOnExec(firstFD + i)
		f := os.NewFile(uintptr(firstFD+i), names[i])
		l, err := net.FileListener(f) // has a descriptor of its own, and removes no file when it is closed
		_ = f.Close()
		if err != nil {
			errs = append(errs, fmt.Errorf("socket %q that systemd passed cannot be used: %w", names[i], err))
			continue
		}
		sockets = append(sockets, Socket{Name: names[i], Listener: l})
	}
	if len(errs) > 0 {
		for _, s := range sockets {
			errs = append(errs, s.Listener.Close())
		}
		return nil, errors.Join(errs...)
	}
	return sockets, nil
}

// check says why a descriptor is no listening stream socket.
func check(fd int) error {
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	switch {
	case errors.Is(err, syscall.EBADF):
		return errors.New("is not open; the LISTEN_ variables are systemd's to set: remove them from the environment")
	case errors.Is(err, syscall.ENOTSOCK):
		return errors.New("is not a socket; use ListenStream= in the socket unit, and neither ListenFIFO= nor a file of OpenFile=")
	case err != nil:
		return fmt.Errorf("cannot be looked at: %w", err)
	case kind != syscall.SOCK_STREAM:
		return errors.New("is not a stream socket; use ListenStream= in the socket unit")
	}
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be looked at: %w", err)
	case listens == 0:
		return errors.New("does not listen; use Accept=no in the socket unit")
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("has an address of a kind that is not served: %w", err)
	}
	switch address.(type) {
	case *syscall.SockaddrInet4, *syscall.SockaddrInet6, *syscall.SockaddrUnix:
		return nil
	}
	return errors.New("is neither TCP nor a unix socket; use ListenStream=PORT, ADDRESS:PORT or /PATH in the socket unit")
}
