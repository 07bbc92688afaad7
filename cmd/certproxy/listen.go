package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/proxy"
)

// A forward is a listener that is a host for its clients.
type forward struct{ addr, host string }

// checkListeners reads what is said about listeners. Who may is known by then.
func (p *plan) checkListeners() config.Mistakes {
	var mistakes config.Mistakes
	for i, addr := range p.Listen {
		if err := loopback(addr); err != nil {
			mistakes = append(mistakes, p.origins.Of("", "listen", i).Mistake(err.Error()))
		}
	}
	for i, spec := range p.Forward {
		f, err := parseForward(spec)
		if err != nil {
			mistakes = append(mistakes, p.origins.Of("", "forward", i).Mistake(err.Error()))
		}
		p.forward = append(p.forward, f)
	}
	for _, file := range []struct{ key, path string }{{"listen_cert", p.ListenCert}, {"listen_key", p.ListenKey}, {"listen_client_ca", p.ListenClientCA}} {
		if file.path != "" {
			mistakes = append(mistakes, p.origins.Of("", file.key, 0).Mistake("is for tls: listeners, and this version has none; leave it out"))
		}
	}
	return mistakes
}

// parseForward reads ADDR=HOST[:PORT].
func parseForward(spec string) (forward, error) {
	addr, name, ok := strings.Cut(spec, "=")
	if !ok {
		return forward{}, fmt.Errorf("%.200q is not of the form ADDR=HOST[:PORT], as in 127.0.0.1:5001=registry.example:5000", spec)
	}
	host, err := certs.ParseHost(name)
	if err != nil {
		return forward{}, fmt.Errorf("%.200q: %w", spec, err)
	}
	return forward{addr: addr, host: host}, loopback(addr)
}

// openDoors opens all listeners, or none.
func openDoors(p *plan) ([]proxy.Door, error) {
	wanted := make([]forward, 0, len(p.Listen)+len(p.forward))
	for _, addr := range p.Listen {
		wanted = append(wanted, forward{addr: addr})
	}
	var out []proxy.Door
	for _, w := range append(wanted, p.forward...) {
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
func loopback(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%.200q is not of the form HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not a loopback address, and this version serves this machine only; use 127.0.0.1:%s", addr, port)
	}
	return nil
}

// listen opens one listener.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(addr)
		return nil, fmt.Errorf("cannot listen on %s: the port is in use; see by whom (ss -ltnp 'sport = :%s'), or choose another with --listen", addr, port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: permission denied; choose a port above 1023, or grant CAP_NET_BIND_SERVICE", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}
