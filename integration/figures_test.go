package integration

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Figures are what a crowd saw, and what it took certproxy.
type figures struct {
	rate        float64       // requests in a second
	p50, p99    time.Duration // from request to answer, as the clients see it
	processor   time.Duration // of certproxy, for each request
	made        float64       // connections to the server, for each request
	resident    int           // memory in bytes
	descriptors int
}

func (f figures) String() string {
	return fmt.Sprintf("%6.0f/s, p50 %6.2f ms, p99 %6.2f ms, %3d us of processor time and %.3f new connections each, %3d MiB, %4d descriptors",
		f.rate, ms(f.p50), ms(f.p99), f.processor.Microseconds(), f.made, f.resident>>20, f.descriptors)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// better returns the better of two measurements of the same thing: what else the
// machine does makes time longer, never shorter. What certproxy holds is its own
// doing, and the more counts.
func (f figures) better(g figures) figures {
	if f == (figures{}) {
		return g
	}
	return figures{
		rate: max(f.rate, g.rate), p50: min(f.p50, g.p50), p99: min(f.p99, g.p99),
		processor: min(f.processor, g.processor), made: min(f.made, g.made),
		resident: max(f.resident, g.resident), descriptors: max(f.descriptors, g.descriptors),
	}
}

// growsLinearly checks what times as many clients got, beside few. What certproxy did
// is held closely. In what is measured by the clock, anything quadratic shows as a
// factor of times, and a machine that does something else as one of two or three: the
// limit is between.
func (f figures) growsLinearly(t *testing.T, few figures, times int) {
	t.Helper()
	if f.processor > 2*few.processor {
		t.Errorf("a request takes %v of processor time, beside %v with few clients; want at most 2 times as much", f.processor, few.processor)
	}
	if f.made > 0.02 {
		t.Errorf("%.1f %% of requests made a new connection to the server; want at most 2 %%: clients that always ask leave no connection unused for long", 100*f.made)
	}
	if f.rate < few.rate/8 {
		t.Errorf("%.0f requests in a second, beside %.0f with few clients; want at least an eighth", f.rate, few.rate)
	}
	if limit := time.Duration(8*times) * few.p99; f.p99 > limit {
		t.Errorf("p99 is %v, beside %v with few clients; want at most %v, for %d times as many", f.p99, few.p99, limit, times)
	}
}

// residentOf is how much memory a process has (proc_pid_statm(5): resident, in pages).
func residentOf(t *testing.T, pid int) int {
	t.Helper()
	var size, resident int
	if _, err := fmt.Sscan(string(rig.Read(t, fmt.Sprintf("/proc/%d/statm", pid))), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}
