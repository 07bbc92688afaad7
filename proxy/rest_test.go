package proxy

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newTestRest returns a rest that counts, and a way to allocate.
func newTestRest() (r *rest, freed *atomic.Int64, allocate func(uint64)) {
	freed = new(atomic.Int64)
	var used atomic.Uint64
	r = &rest{used: used.Load, free: func() {
		freed.Add(1)
		pass(10 * time.Millisecond)
	}}
	return r, freed, func(n uint64) { used.Add(n) }
}

func TestMemoryIsGivenBackOnceItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, freed, allocate := newTestRest()
		defer r.close()
		for range 30 { // under way for longer than it takes to call it quiet
			allocate(1 << 20)
			r.stir()
			pass(restAfter / 10)
		}
		if freed.Load() != 0 {
			t.Error("given back while requests came")
		}
		pass(3 * restAfter)
		if freed.Load() != 1 {
			t.Errorf("given back %d times, want once", freed.Load())
		}
		pass(time.Hour)
		if freed.Load() != 1 {
			t.Error("given back again without a request")
		}
	})
}

func TestLittleIsNotWorthGivingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, freed, allocate := newTestRest()
		defer r.close()
		for range 10 {
			allocate(restWorth / 11)
			r.stir()
			pass(3 * restAfter)
		}
		if freed.Load() != 0 {
			t.Errorf("given back %d times for less than %d bytes", freed.Load(), restWorth)
		}
		allocate(restWorth / 5)
		r.stir()
		pass(3 * restAfter)
		if freed.Load() != 1 {
			t.Errorf("given back %d times, want once: what is allocated adds up", freed.Load())
		}
	})
}

func TestGivingBackTakesAHundredthOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, freed, allocate := newTestRest()
		defer r.close()
		r.free = func() {
			freed.Add(1)
			pass(time.Second)
		}
		for range 300 { // ten minutes, in which it could be given back every two seconds
			allocate(restWorth)
			r.stir()
			pass(2 * restAfter)
		}
		if freed.Load() < 5 || freed.Load() > 7 {
			t.Errorf("given back %d times in ten minutes, each of which took a second", freed.Load())
		}
	})
}

// pass lets time pass in a bubble, where a timer is all there is to wait for.
func pass(d time.Duration) { <-time.After(d) }
