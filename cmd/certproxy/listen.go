package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listenAll opens the listeners, or none.
func listenAll(addrs []string) ([]net.Listener, error) {
	var out []net.Listener
	for _, addr := range addrs {
		l, err := listen(addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(out))
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// loopback checks the address of a listener. Any other would lend the host's
// identities to the network, for nothing here authenticates a client.
func loopback(addr string) (port string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", usageError{fmt.Errorf("--listen %q is not of the form HOST:PORT", addr)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", usageError{fmt.Errorf("--listen %s is not a loopback address, and this version cannot authenticate clients; use 127.0.0.1:%s", addr, port)}
	}
	return port, nil
}

// listen opens one listener.
func listen(addr string) (net.Listener, error) {
	port, err := loopback(addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: the port is in use; see by whom (ss -ltnp 'sport = :%s'), or choose another with --listen", addr, port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: permission denied; choose a port above 1023, or grant CAP_NET_BIND_SERVICE", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}
