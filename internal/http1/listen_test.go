package http1

import (
	"errors"
	"net"
	"syscall"
)

// A failing listener has no descriptors left, but for the connections it is given.
type failing struct {
	conns chan net.Conn
	fatal bool // it fails for good
}

func (f *failing) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	default:
	}
	if f.fatal {
		return nil, errors.ErrUnsupported
	}
	return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
}

func (f *failing) Close() error   { return nil }
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }
