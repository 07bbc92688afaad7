package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// errLoop means that a destination is this proxy itself.
var errLoop = errors.New("the destination is this proxy itself")

// A dialer connects to destinations, never to the proxy's own listeners. Its
// connections are bare *net.TCPConn: any wrapper would end splicing.
type dialer struct {
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	route   atomic.Pointer[upstreamproxy.Dialer] // to hosts, through a proxy of the site or not
	buffers *wireBuffers                         // of the connections, where something is put upon them
	open    atomic.Int64                         // connections that requests are sent over

	mu  sync.RWMutex
	own []netip.AddrPort
}

func newDialer(config Config) *dialer {
	d := &dialer{dial: config.DialContext, buffers: &wireBuffers{budget: newBudget()}}
	if d.dial == nil {
		// The check is made on each address that the name resolves to, so no alias
		// of ours gets past it.
		d.dial = (&net.Dialer{
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6},
			ControlContext: func(ctx context.Context, network, addr string, c syscall.RawConn) error {
				ap, err := netip.ParseAddrPort(addr)
				switch known := err == nil; {
				case known && d.isOwn(ap):
					return errLoop
				case known && config.Disown != nil && ctx.Value(forOthersKey{}) != nil && isLocal(ap.Addr().WithZone("").Unmap()):
					return config.Disown(network, c)
				}
				return nil
			},
		}).DialContext
	}
	return d
}

// newWire returns a wire for requests, counted until it is closed.
func (d *dialer) newWire(raw net.Conn) *wire {
	w := newWire(raw, nil, d.buffers)
	w.open = &d.open
	d.open.Add(1)
	return w
}

// forOthers says of the connections made with a context that they are for another user.
func forOthers(ctx context.Context) context.Context {
	return context.WithValue(ctx, forOthersKey{}, true)
}

type forOthersKey struct{}

// connect reaches name:port within the time given; zero sets no bound.
func (d *dialer) connect(ctx context.Context, authority string, within time.Duration) (net.Conn, error) {
	if err := d.notOurselves(authority); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx, within)
	defer cancel()
	return d.route.Load().DialContext(ctx, "tcp", authority)
}

// forward reaches name:port for plain requests, likewise: the host itself, or a proxy
// that takes them for it.
func (d *dialer) forward(ctx context.Context, authority string, within time.Duration) (net.Conn, *upstreamproxy.Forwarding, error) {
	if err := d.notOurselves(authority); err != nil {
		return nil, nil, err
	}
	ctx, cancel := bounded(ctx, within)
	defer cancel()
	return d.route.Load().Forward(ctx, "tcp", authority)
}

func bounded(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if within <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, within, errDialTimeout)
}

// notOurselves refuses an address of our own that a proxy of the site would be asked
// for: it would come back. What a name resolves to there only that proxy knows.
func (d *dialer) notOurselves(authority string) error {
	if ap, err := netip.ParseAddrPort(authority); err == nil && d.isOwn(ap) {
		return errLoop
	}
	return nil
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
