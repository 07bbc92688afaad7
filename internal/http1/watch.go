package http1

import (
	"errors"
	"os"
	"sync"
	"time"
)

// watchAfter is how long a request may take before its client is watched. Most are
// answered by then, and need no second goroutine.
const watchAfter = 20 * time.Millisecond

// A watch notices that the client goes while its request is served: a read waits for
// the next request's first byte, or for the end.
type watch struct {
	c     *conn
	timer *time.Timer

	mu      sync.Mutex
	stopped sync.Cond // broadcast when a read has ended
	armed   bool      // the request is under way, and nothing of it is left to read
	reading bool
	aborted bool // the read was told to end
}

// init is for the connection's goroutine, before anything else.
func (w *watch) init(c *conn) {
	w.c, w.stopped.L = c, &w.mu
}

// arm begins: nothing of the request is left to be read. It is called from whoever has
// read the end.
func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed || w.c.br.Buffered() > 0 || len(w.c.src.ahead) > 0 {
		return // the next request is here already; that the client goes shows when it is answered
	}
	w.armed = true
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, w.read)
		return
	}
	w.timer.Reset(watchAfter)
}

// read waits, on the timer's goroutine, which stop waits for.
func (w *watch) read() {
	w.mu.Lock()
	if !w.armed || w.reading {
		w.mu.Unlock()
		return
	}
	w.reading = true
	_ = w.c.nc.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	err := w.c.src.readAhead()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && (!w.aborted || !errors.Is(err, os.ErrDeadlineExceeded)) {
		w.c.cancel()
	}
	w.reading, w.aborted = false, false
	w.stopped.Broadcast()
}

// stop ends the watch. What it has read is for the next request.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.armed {
		return
	}
	w.armed = false
	w.timer.Stop()
	if !w.reading {
		return
	}
	w.aborted = true
	_ = w.c.nc.SetReadDeadline(time.Unix(1, 0))
	for w.reading {
		w.stopped.Wait()
	}
	_ = w.c.nc.SetReadDeadline(time.Time{})
}
