package integration

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// Whatever a host does to its peers, its clients never get a wrong byte or a part for the
// whole, requests to other hosts are answered as if nothing was, and what it took is
// given back.
func TestFaultyHostsHurtNobodyElse(t *testing.T) {
	f := newFaultField(t, "")
	before := f.proxy.Holds(t)
	for _, fault := range rig.HostFaults() {
		t.Run(fault.Name, func(t *testing.T) {
			f.faulty.Be(&fault)
			f.faulty.Disconnect()
			outcomes := map[string]int{}
			f.vigil.During(t, func() { outcomes = f.crowd(t, &fault, 700*time.Millisecond) })
			t.Logf("the faulty host's clients: %s (the fault was met %d times)", counted(outcomes), f.faulty.Met.Load())
			if f.faulty.Met.Load() == 0 {
				t.Error("the fault never happened")
			}
		})
	}
	f.faulty.Be(&rig.Fault{})
	f.faulty.Disconnect()
	if r := rig.Ask(f.proxy.Client(t), f.faulty.Host(), f.faulty.Pair, rig.Question{Down: 100}); r.Failed+r.Wrong != "" {
		t.Errorf("the host is well again, and its client gets %q", r.Failed+r.Wrong)
	}
	f.proxy.Settles(t, before)
}

// crowd has clients ask the faulty host for a time, each at least once, and not so fast
// that they alone take the machine. It counts what came of it.
func (f *faultField) crowd(t *testing.T, fault *rig.Fault, d time.Duration) map[string]int {
	t.Helper()
	var mu sync.Mutex
	outcomes := map[string]int{}
	until := time.Now().Add(d)
	clients := []*http.Client{f.proxy.Client(t), f.proxy.ClientH2(t)}
	var crowd sync.WaitGroup
	size, pause := 16, 30*time.Millisecond
	if fault.Costly {
		size, pause = 4, 100*time.Millisecond
	}
	for i := range size {
		crowd.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for n := 0; n == 0 || time.Now().Before(until); n++ {
				<-tick.C
				q := rig.Question{Seed: uint64(i<<20 | n), Down: 100 + 97*n%2000}
				if n%4 == 3 {
					q.Up = 5000
				}
				r := rig.Ask(clients[i%2], f.faulty.Host(), f.faulty.Pair, q)
				if r.Wrong != "" || strings.Contains(r.Failed, rig.Poison) || fault.Harmless && r.Failed != "" {
					t.Errorf("%s, body of %d bytes: %s%s", fault.Name, q.Up, r.Wrong, r.Failed)
				}
				mu.Lock()
				outcomes[outcome(r)]++
				mu.Unlock()
			}
		})
	}
	crowd.Wait()
	for _, c := range clients {
		c.CloseIdleConnections()
	}
	return outcomes
}

func outcome(r rig.Reply) string {
	switch {
	case r.Failed == "":
		return "whole"
	case strings.HasPrefix(r.Failed, "50"):
		return r.Failed[:3]
	}
	return "broken off"
}

func counted(outcomes map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(outcomes)) {
		parts = append(parts, fmt.Sprintf("%s x %d", k, outcomes[k]))
	}
	return strings.Join(parts, ", ")
}
