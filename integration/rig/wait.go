package rig

import (
	"testing"
	"time"
)

// Patience is how long the rig waits for anything: long enough for a busy
// machine, since only a failing test waits it out.
const Patience = 30 * time.Second

// Eventually polls until done says so, and returns how long that took. After
// [Patience] the test fails with what was waited for.
func Eventually(t testing.TB, what string, done func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Since(start) > Patience {
			t.Fatalf("waited %v in vain: %s", Patience, what)
		}
		<-tick.C
	}
	return time.Since(start)
}
