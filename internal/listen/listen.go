// Package listen opens the sockets on which clients reach the proxy: TCP, unix
// sockets, sockets that systemd passed, and each of them with TLS.
//
// [Parse] turns what an operator writes into a [Spec], [Open] turns specs into
// listeners, all or none. Who may connect is decided elsewhere; this package says
// what that needs: whether a listener can be reached from other machines
// ([Listener.Beyond]), and whose certificate a client has shown ([ClientName]). It
// starts no goroutine and writes no log line.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Options are what listeners are made with.
type Options struct {
	// Passed are the sockets that systemd:NAME takes its listeners from. A spec of the very
	// address that one of them has takes it, too: it cannot be bound a second time.
	Passed []Passed
	// Certificates are shown and asked for by the listeners with tls:. Without one of
	// those they are not read.
	Certificates Certificates
}

// Passed is a listening socket that was opened by another process, most often systemd.
type Passed struct {
	Name     string // FileDescriptorName= of the socket unit, by default the unit's own name
	Listener net.Listener
}

// A Listener is an open socket. Its connections are *[net.TCPConn], *[net.UnixConn], or,
// with tls:, *[tls.Conn] around one of them, whose handshake is still to be made.
type Listener struct {
	net.Listener

	spec    Spec
	index   int
	address string
	beyond  bool
}

// Spec returns what the listener was opened for. A systemd:NAME may have several listeners.
func (l *Listener) Spec() Spec { return l.spec }

// Index returns where in the specs given to [Open] its own is: two may be equal, with port 0.
func (l *Listener) Index() int { return l.index }

// Beyond reports whether peers on other machines can reach it: it is neither a unix
// socket nor bound to a loopback address. All addresses (0.0.0.0, ::) are beyond, and a socket
// that systemd passed is judged by the address it really has.
func (l *Listener) Beyond() bool { return l.beyond }

// Address returns the address in the form of --listen, with the port that the
// kernel chose, and with the real address of what systemd passed.
func (l *Listener) Address() string { return l.address }

// Open opens a listener for each spec, or several where systemd passed several of one
// name. It is all or none: with an error nothing is left open but what was passed, which
// then is still the caller's.
func Open(ctx context.Context, specs []Spec, o Options) ([]*Listener, error) {
	if err := twice(specs); err != nil {
		return nil, err
	}
	secure, err := o.Certificates.wrapper(specs)
	if err != nil {
		return nil, err
	}
	var out, own []*Listener
	for i, spec := range specs {
		raw, err := open(ctx, spec, o.Passed)
		if err != nil {
			return nil, errors.Join(err, closeAll(own))
		}
		for _, l := range raw {
			opened := &Listener{Listener: l, spec: spec, index: i, address: address(spec, l.Addr()), beyond: beyond(l.Addr())}
			if spec.TLS {
				opened.Listener = secure(l)
			}
			out = append(out, opened)
			if !slices.ContainsFunc(o.Passed, func(p Passed) bool { return p.Listener == l }) {
				own = append(own, opened)
			}
		}
	}
	return out, nil
}

func open(ctx context.Context, spec Spec, passed []Passed) ([]net.Listener, error) {
	var l net.Listener
	var err error
	if l = adopt(spec, passed); l != nil {
		return []net.Listener{l}, nil
	}
	switch spec.Kind {
	case TCP:
		l, err = openTCP(ctx, spec)
	case Unix:
		l, err = openUnix(ctx, spec)
	case Systemd:
		return take(spec, passed)
	default:
		err = errors.New("cannot listen: the spec is empty")
	}
	return []net.Listener{l}, err
}

// twice finds a spec that would take from another what it names.
func twice(specs []Spec) error {
	seen := make(map[Spec]bool, len(specs))
	for _, spec := range specs {
		named := Spec{Kind: spec.Kind, Addr: spec.Addr} // whatever its TLS, mode and group
		if spec.Kind == TCP && strings.HasSuffix(spec.Addr, ":0") {
			continue
		}
		if seen[named] {
			return fmt.Errorf("cannot listen on %s twice; remove one of the two", named)
		}
		seen[named] = true
	}
	return nil
}

// address is the text of a spec with the address that a socket got.
func address(spec Spec, addr net.Addr) string {
	shown := Spec{TLS: spec.TLS, Kind: TCP, Addr: addr.String()}
	switch addr := addr.(type) {
	case *net.UnixAddr:
		shown.Kind = Unix
	case *net.TCPAddr:
		if strings.HasPrefix(spec.Addr, ":") { // the socket says [::], which would be IPv6 alone
			shown.Addr = ":" + strconv.Itoa(addr.Port)
		}
	}
	return shown.String()
}

func beyond(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.UnixAddr:
		return false
	case *net.TCPAddr:
		return !loopback(addr.AddrPort().Addr())
	}
	return true // unknown: the answer that keeps more people out
}

func loopback(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }

func closeAll(listeners []*Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
