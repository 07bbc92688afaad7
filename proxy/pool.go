package proxy

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxIdle is how many unused connections of one identity are kept. It is above what
	// busy clients have in use by turns: with 64, a third of the requests of 512 clients
	// had to connect anew. What is not used ages out.
	maxIdle = 1024
	// surelyOpen is how long after its last use a kept connection is taken to be
	// open still. Servers end idle connections after seconds; one that was used just
	// now dies under a request only when its server dies too.
	surelyOpen = time.Second
	// sweepEvery is how often the unused connections are looked at: for so long one that
	// the host has closed holds a descriptor. A look takes half a microsecond for each.
	sweepEvery = 2 * time.Second
)

// A pool keeps the unused connections of one identity.
type pool struct {
	timeout time.Duration // how long a connection may stay unused
	most    int           // how many of them are kept

	mu     sync.Mutex
	idle   []*upstreamConn // the one used last comes last
	bound  int             // how many of them are a single client's
	closed bool
	timer  *time.Timer // runs sweep while there are idle connections
}

// take returns a connection for a client whose other side has not closed it, or nil. It was
// used within the given time. Of one that was used within the time of trust it is not asked
// whether it is open: that is a system call, and it nearly always is.
func (p *pool) take(client *clientConn, within, trust time.Duration) *upstreamConn {
	for {
		c := p.pop(client, within)
		if c == nil || trust > 0 && time.Since(c.idleSince) < trust && !c.wire.atHand() || c.open() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop(client *clientConn, within time.Duration) *upstreamConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := len(p.idle) - 1
	if p.bound > 0 {
		i = p.choose(client)
	}
	if i < 0 || time.Since(p.idle[i].idleSince) > within {
		return nil
	}
	c := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	if c.client != nil {
		p.bound--
	}
	return c
}

// choose returns the place of the connection used last that is the client's alone, else of the
// one that is nobody's, or -1.
func (p *pool) choose(client *clientConn) int {
	free := -1
	for i, c := range slices.Backward(p.idle) {
		switch {
		case c.client != nil && c.client == client:
			return i
		case c.client == nil && free < 0:
			free = i
		}
	}
	return free
}

// put keeps a connection, or closes it when there are enough or the pool is closed.
func (p *pool) put(c *upstreamConn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.most {
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if c.client != nil {
		p.bound++
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.interval(), p.sweep)
	}
}

func (p *pool) interval() time.Duration { return min(sweepEvery, p.timeout) }

// sweep closes the connections that were unused for too long, and those that the
// other side has closed: they would hold a descriptor for nothing.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, c := range p.idle {
		if time.Since(c.idleSince) < p.timeout && c.open() {
			kept = append(kept, c)
			continue
		}
		c.close()
		if c.client != nil {
			p.bound--
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	if len(kept) == 0 || p.closed {
		p.timer = nil
		return
	}
	p.timer.Reset(p.interval())
}

// close closes the unused connections, and those in use when they are put back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, c := range p.idle {
		c.close()
	}
	p.idle, p.bound = nil, 0
}
