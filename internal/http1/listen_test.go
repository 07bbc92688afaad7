package http1

import (
	"net"
	"syscall"
)

// A failing listener has no descriptors left, whatever it does. Or it has, once there
// is a connection for it.
type failing struct{ conns chan net.Conn }

func (f *failing) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	default:
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
}

func (f *failing) Close() error   { return nil }
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }
