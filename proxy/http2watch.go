package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// An http2Watch ends a client's connection of HTTP/2 on which streams are open, nobody
// answers any, and no other begins for the time of stream_idle_timeout: the client takes
// the ends of its answers no more, which net/http writes when a handler has returned. A
// deadline for each would cost each request a timer of the server's.
type http2Watch struct {
	limit func() time.Duration // zero is none
	end   func(limit time.Duration)
	born  time.Time

	handlers atomic.Int64
	changed  atomic.Int64 // when handlers did last, as nanoseconds after born
	open     atomic.Bool  // there are streams

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// unlimited is how often a watch without a limit looks whether it has one by now.
const unlimited = 10 * time.Minute

// begin looks from now on. end is called once, when the time is over.
func (w *http2Watch) begin(limit func() time.Duration, end func(time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.end, w.born = limit, end, time.Now()
	w.timer = time.AfterFunc(w.interval(), w.look)
}

func (w *http2Watch) interval() time.Duration {
	if limit := w.limit(); limit > 0 {
		return limit
	}
	return unlimited
}

// stop ends it, and waits for a look that is under way.
func (w *http2Watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// serves notes that a request has begun, or that its handler has returned.
func (w *http2Watch) serves(n int64) {
	w.changed.Store(int64(time.Since(w.born)))
	w.handlers.Add(n)
}

func (w *http2Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	next := w.interval()
	if w.open.Load() && w.handlers.Load() == 0 {
		limit := w.limit()
		left := limit - (time.Since(w.born) - time.Duration(w.changed.Load()))
		if limit > 0 && left <= 0 {
			w.over = true
			w.end(limit)
			return
		}
		next = min(next, max(left, time.Millisecond))
	}
	w.timer.Reset(next)
}

// watchHTTP2 watches an intercepted connection that speaks HTTP/2.
func (p *Proxy) watchHTTP2(c *interceptedConn) {
	c.http2.begin(func() time.Duration { return p.config.Host(c.connect.authority).StreamIdleTimeout }, func(limit time.Duration) {
		p.log.Warn("connection stalled", append(c.connect.who(),
			zap.String("reason", "the client read nothing more of the last answers of "+c.connect.authority+" for "+limit.String()),
			zap.String("hint", "look at what the client does; stream_idle_timeout sets how long no byte may move"))...)
		_ = c.wire.Close()
	})
}
