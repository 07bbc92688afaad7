package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A workload is one kind of work.
type workload struct {
	name, title string
	fits        func(subject) bool
	run         func(testing.TB, *origin, way) Sample
	figures     []figure
}

// line is a sample in one line, for who watches.
func (w workload) line(s Sample) string {
	var parts []string
	for _, f := range w.figures {
		parts = append(parts, number(f.of(s))+" "+f.unit)
	}
	return strings.Join(parts, ", ")
}

func workloads(o Options) []workload {
	every := func(subject) bool { return true }
	http2 := func(s subject) bool { return s.http2 }
	tunnels := func(s subject) bool { return s.tunnels }
	proxies := func(s subject) bool { return s.name != reference }
	large := byteSize(o.Blob)
	return []workload{
		{"get", "GET of " + large, every, get, transferFigures()},
		{"put", "PUT of " + large, every, put, transferFigures()},
		{"tunnel", "GET of " + large + " through a tunnel", tunnels, tunnel, transferFigures()},
		{"small-h1", fmt.Sprintf("1 KiB, HTTP/1.1, %d kept connections", o.Clients), every, kept(o, false), loadFigures("request")},
		{"small-h2", fmt.Sprintf("1 KiB, HTTP/2, %d kept connections", o.Clients), http2, kept(o, true), loadFigures("request")},
		{"new", fmt.Sprintf("1 KiB, a new connection each time, %d at once", fewer(o.Clients)), every, renewed(o), loadFigures("connection")},
		{"idle", fmt.Sprintf("%d idle connections", o.Idle), proxies, idle(o), idleFigures()},
	}
}

// fewer clients than that are enough to keep all processors busy with handshakes.
func fewer(clients int) int { return max(1, clients/4) }

func get(t testing.TB, o *origin, w way) Sample {
	c := w.client(false)
	defer c.close()
	open(t, []*client{c})
	return measure(t, w, func() (float64, []time.Duration, error) {
		return float64(o.blob), nil, c.get(t.Context(), blob, o.blob)
	})
}

func tunnel(t testing.TB, o *origin, w way) Sample { return get(t, o, w.tunnelled(t, o)) }

func put(t testing.TB, o *origin, w way) Sample {
	c := w.client(false)
	defer c.close()
	open(t, []*client{c})
	return measure(t, w, func() (float64, []time.Duration, error) {
		return float64(o.blob), nil, c.put(t.Context(), o.blob)
	})
}

func kept(o Options, http2 bool) func(testing.TB, *origin, way) Sample {
	return func(t testing.TB, _ *origin, w way) Sample {
		clients := w.clients(o.Clients, http2)
		defer closeAll(clients)
		open(t, clients)
		return measure(t, w, func() (float64, []time.Duration, error) {
			took, err := load(clients, o.Time, getSmall(t))
			return float64(len(took)), took, err
		})
	}
}

func renewed(o Options) func(testing.TB, *origin, way) Sample {
	return func(t testing.TB, _ *origin, w way) Sample {
		clients := w.clients(fewer(o.Clients), false)
		defer closeAll(clients)
		open(t, clients)
		return measure(t, w, func() (float64, []time.Duration, error) {
			took, err := load(clients, o.Time, func(c *client) error {
				c.close()
				return getSmall(t)(c)
			})
			return float64(len(took)), took, err
		})
	}
}

func idle(o Options) func(testing.TB, *origin, way) Sample {
	return func(t testing.TB, _ *origin, w way) Sample {
		clients := w.clients(o.Idle+1, false)
		defer closeAll(clients)
		open(t, clients[:1])
		before := settled(w.pid, o.Time)
		for some := range slices.Chunk(clients[1:], o.Clients) {
			open(t, some)
		}
		after := settled(w.pid, o.Time)
		return Sample{Before: float64(before), Each: float64(after-before) / float64(o.Idle)}
	}
}

func getSmall(t testing.TB) func(*client) error {
	return func(c *client) error { return c.get(t.Context(), small, smallSize) }
}

// open has each client connect and make a request, which is no part of what is
// measured: the first mints a leaf.
func open(t testing.TB, clients []*client) {
	t.Helper()
	if _, err := load(clients, 0, getSmall(t)); err != nil {
		t.Fatal(err)
	}
}

// measure looks at the proxy's processes before and after the work, which returns
// the bytes or requests it did and how long each took.
func measure(t testing.TB, w way, work func() (float64, []time.Duration, error)) Sample {
	t.Helper()
	used, began := processorTime(tree(w.pid)), time.Now()
	units, took, err := work()
	elapsed := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	pids := tree(w.pid) // again: squid may have more helpers now
	slices.Sort(took)
	return Sample{
		Rate:      units / elapsed.Seconds(),
		P50:       percentile(took, 50),
		P99:       percentile(took, 99),
		Processor: (processorTime(pids) - used).Seconds() / units,
		Peak:      float64(peak(pids)),
	}
}

// percentile of sorted durations, in seconds.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Seconds()
}
