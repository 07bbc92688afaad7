package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

func openTCP(ctx context.Context, spec Spec) (net.Listener, error) {
	// With "tcp", package net would take 0.0.0.0 for all addresses of IPv6 as well.
	network := "tcp"
	at, err := netip.ParseAddrPort(spec.Addr)
	switch {
	case err != nil: // :PORT
	case at.Addr().Is4():
		network = "tcp4"
	default:
		network = "tcp6"
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, network, spec.Addr)
	if err != nil {
		return nil, tcpError(spec, err)
	}
	return l, nil
}

func tcpError(spec Spec, err error) error {
	host, port, _ := net.SplitHostPort(spec.Addr)
	cannot := "cannot listen on " + spec.String()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: the port is in use; see by whom (ss -ltnp 'sport = :%s'), or choose another with --listen", cannot, port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: permission denied; choose a port above 1023, or grant CAP_NET_BIND_SERVICE", cannot)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine does not have the address %s; see which it has (ip address), or choose :%s for all; "+
			"one that comes later can be had from systemd (FreeBind=yes in a socket unit)", cannot, host, port)
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return fmt.Errorf("%s: this machine, or RestrictAddressFamilies= of the unit, is without addresses of this family", cannot)
	}
	var op *net.OpError
	if errors.As(err, &op) { // its own text says "listen tcp ADDR" once more
		err = op.Err
	}
	return fmt.Errorf("%s: %w", cannot, err)
}
