package proxy

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// restAfter is how long no request must have come before memory is given back.
	restAfter = time.Second
	// restWorth is how much must have been allocated since the last time.
	restWorth = 4 << 20
	// restShare bounds what it takes: of a hundred seconds, one.
	restShare = 100
)

// A rest gives memory back to the system when nothing is to be done. The collector
// alone would keep what a burst has used, and the stacks it has grown, for minutes:
// on most machines a proxy waits most of the time.
//
// Nothing of it runs while no request comes.
type rest struct {
	free func() // collects, and gives back
	used func() uint64

	begun atomic.Int64 // how many requests have begun
	armed atomic.Bool  // the timer runs

	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	seen   int64     // begun, when the timer was set
	had    uint64    // used, after the last time
	next   time.Time // not before
}

func newRest() *rest {
	return &rest{free: debug.FreeOSMemory, used: allocated}
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// stir notes that a request has begun.
func (r *rest) stir() {
	r.begun.Add(1)
	if !r.armed.Load() && r.armed.CompareAndSwap(false, true) {
		r.wait()
	}
}

// wait sets the timer.
func (r *rest) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.seen = r.begun.Load()
	r.timer = time.AfterFunc(restAfter, r.look)
}

// look gives memory back if it was quiet since the timer was set.
func (r *rest) look() {
	r.mu.Lock()
	quiet := r.begun.Load() == r.seen
	r.mu.Unlock()
	if !quiet {
		r.wait()
		return
	}
	r.armed.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	began := time.Now()
	if r.closed || began.Before(r.next) || r.used()-r.had < restWorth {
		return
	}
	r.free()
	r.had = r.used()
	r.next = time.Now().Add(restShare * time.Since(began))
}

// close ends it, and waits for what runs.
func (r *rest) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
