package proxy

import (
	"net"
	"sync/atomic"
)

// Stats are how much is open at a moment. Each figure is right by itself; together they
// may be some microseconds apart.
type Stats struct {
	Clients        int // connections of clients, those of tunnels among them
	Tunnels        int
	Requests       int // being answered
	UpstreamActive int // connections to hosts that carry a request, or are being made
	UpstreamIdle   int // those kept for the next one
}

// live counts what no list has.
type live struct {
	tunnels  atomic.Int64
	requests atomic.Int64
	http2    atomic.Int64 // intercepted connections that speak HTTP/2
}

// Stats counts what is open now.
func (p *Proxy) Stats() Stats {
	s := Stats{Tunnels: int(p.live.tunnels.Load()), Requests: int(p.live.requests.Load()), UpstreamIdle: p.upstreams.idle()}
	s.UpstreamActive = max(0, int(p.dialer.open.Load())-s.UpstreamIdle)
	for _, d := range p.served() {
		s.Clients += d.server.Connections()
	}
	// Of a tunnel, both ends are among the live connections.
	s.Clients += p.inner1.Connections() + int(p.live.http2.Load()) + max(0, p.conns.count()-s.Tunnels)
	return s
}

// Refuse names the address of a listener of this process that no client may reach
// through the proxy, by whatever name: it is answered 508. Of one that is not TCP
// there is nothing to refuse.
func (p *Proxy) Refuse(addr net.Addr) { p.dialer.refuse(addr) }

func (l *liveConns) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// idle is how many connections to hosts wait for a request.
func (u *upstreams) idle() int {
	n := 0
	u.mu.RLock()
	for _, up := range u.open {
		n += up.idle()
	}
	u.mu.RUnlock()
	u.without.mu.Lock()
	defer u.without.mu.Unlock()
	for _, up := range u.without.open {
		n += up.idle()
	}
	return n
}

func (u *upstream) idle() int {
	n := 0
	for _, id := range u.identities {
		n += id.idle.count() + id.http2.idle()
	}
	return n
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func (h *http2Conns) idle() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil || h.current.users > 0 {
		return 0
	}
	return 1
}
