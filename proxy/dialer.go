package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// errLoop means that a destination is this proxy itself.
var errLoop = errors.New("the destination is this proxy itself")

// A dialer connects to destinations, never to the proxy's own listeners. Its
// connections are bare *net.TCPConn: any wrapper would end splicing.
type dialer struct {
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	buffers *wireBuffers // of the connections, where something is put upon them

	mu  sync.RWMutex
	own []netip.AddrPort
}

func newDialer(config Config) *dialer {
	d := &dialer{dial: config.DialContext, buffers: &wireBuffers{}}
	if d.dial == nil {
		// The check is made on each address that the name resolves to, so no alias
		// of ours gets past it.
		d.dial = (&net.Dialer{
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6},
			Control: func(_, addr string, _ syscall.RawConn) error {
				if ap, err := netip.ParseAddrPort(addr); err == nil && d.isOwn(ap) {
					return errLoop
				}
				return nil
			},
		}).DialContext
	}
	return d
}

// connect dials name:port within the time given; zero sets no bound.
func (d *dialer) connect(ctx context.Context, authority string, within time.Duration) (net.Conn, error) {
	if within <= 0 {
		return d.dial(ctx, "tcp", authority)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errDialTimeout)
	defer cancel()
	return d.dial(ctx, "tcp", authority)
}

var errDialTimeout = errors.New("dial timeout")

// refuse names a listener's address as one never to dial.
func (d *dialer) refuse(addr net.Addr) {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return // not TCP: nothing dials it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = append(d.own, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

func (d *dialer) isOwn(ap netip.AddrPort) bool {
	ip := ap.Addr().Unmap()
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, own := range d.own {
		if own.Port() != ap.Port() {
			continue
		}
		// A listener on all addresses is behind every address of the machine; Linux
		// also connects 0.0.0.0 and :: to loopback.
		if own.Addr() == ip || own.Addr().IsUnspecified() && isLocal(ip) || ip.IsUnspecified() && own.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// isLocal reports whether an address belongs to this machine.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if own, ok := netip.AddrFromSlice(n.IP); ok && own.Unmap() == ip {
				return true
			}
		}
	}
	return false
}
