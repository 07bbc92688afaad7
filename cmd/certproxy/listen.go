package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/proxy"
)

// A forward is a listener that is a host for its clients.
type forward struct{ addr, host string }

// parseForward reads ADDR=HOST[:PORT].
func parseForward(spec string) (forward, error) {
	addr, name, ok := strings.Cut(spec, "=")
	if !ok {
		return forward{}, usageError{fmt.Errorf("--forward %q is not of the form ADDR=HOST[:PORT], as in 127.0.0.1:5001=registry.example:5000", spec)}
	}
	host, err := certs.ParseHost(name)
	if err != nil {
		return forward{}, usageError{fmt.Errorf("--forward %q: %w", spec, err)}
	}
	if _, err := loopback("--forward", addr); err != nil {
		return forward{}, err
	}
	return forward{addr: addr, host: host}, nil
}

// openDoors opens all listeners, or none.
func openDoors(o serveOptions) ([]proxy.Door, error) {
	wanted := make([]forward, 0, len(o.listen)+len(o.forward))
	for _, addr := range o.listen {
		wanted = append(wanted, forward{addr: addr})
	}
	var out []proxy.Door
	for _, w := range append(wanted, o.forward...) {
		l, err := listen(w.addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(out))
		}
		out = append(out, proxy.Door{Listener: l, Forward: w.host})
	}
	return out, nil
}

func closeAll(doors []proxy.Door) error {
	var errs []error
	for _, d := range doors {
		errs = append(errs, d.Listener.Close())
	}
	return errors.Join(errs...)
}

// loopback checks the address of a listener. Any other would lend the host's
// identities to the network.
func loopback(flag, addr string) (port string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", usageError{fmt.Errorf("%s %q is not of the form HOST:PORT", flag, addr)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", usageError{fmt.Errorf("%s %s is not a loopback address, and this version serves this machine only; use 127.0.0.1:%s", flag, addr, port)}
	}
	return port, nil
}

// listen opens one listener.
func listen(addr string) (net.Listener, error) {
	port, err := loopback("--listen", addr)
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
