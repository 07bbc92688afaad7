package proxy

import (
	"context"
	"sync"
	"time"
)

// firstRequestGrace is how long a client that has been told "connection established" may
// take for its first request when the proxy is shutting down: it comes for just that, and
// cannot know that it may ask again.
const firstRequestGrace = time.Second

// beginnings counts the CONNECTs that were admitted and of which nothing has come yet: no
// request, no tunnel, no end.
type beginnings struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n is 0; nil while nobody waits
}

func (b *beginnings) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	if b.n == 0 && b.none != nil {
		close(b.none)
		b.none = nil
	}
}

// wait returns when there are none, or after the grace, or when ctx ends.
func (b *beginnings) wait(ctx context.Context) {
	b.mu.Lock()
	if b.n == 0 {
		b.mu.Unlock()
		return
	}
	if b.none == nil {
		b.none = make(chan struct{})
	}
	none := b.none
	b.mu.Unlock()
	timer := time.NewTimer(firstRequestGrace)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// settle tells that something has come of the CONNECT.
func (c *connect) settle() {
	c.settled.Do(func() { c.proxy.beginnings.add(-1) })
}
