package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Holding is what a process holds at a moment.
type Holding struct {
	Resident    int // bytes of memory
	Goroutines  int
	Descriptors int
}

func (h Holding) String() string {
	return fmt.Sprintf("%.1f MiB, %d goroutines, %d descriptors", float64(h.Resident)/(1<<20), h.Goroutines, h.Descriptors)
}

// Holds asks certproxy's admin listener what it holds.
func (p *Certproxy) Holds(t testing.TB) Holding {
	t.Helper()
	return Holding{int(p.Metric(t, "process_resident_memory_bytes")), int(p.Metric(t, "go_goroutines")), int(p.Metric(t, "process_open_fds"))}
}

// Metric is the value of a metric without labels.
func (p *Certproxy) Metric(t testing.TB, name string) float64 {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.Admin)
	}}
	answer, err := (&http.Client{Transport: transport, Timeout: Patience}).Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// Settles waits until certproxy holds no more goroutines and descriptors than before,
// give or take those that its own connections to hosts need.
func (p *Certproxy) Settles(t testing.TB, before Holding) {
	t.Helper()
	const pooled = 24
	var now Holding
	took := Eventually(t, "certproxy holds what it held before", func() bool {
		now = p.Holds(t)
		return now.Goroutines <= before.Goroutines+pooled && now.Descriptors <= before.Descriptors+pooled
	})
	t.Logf("before %v; after %v (%v later)", before, now, took.Round(10*time.Millisecond))
}

// Alive reports whether it still runs.
func (p *Certproxy) Alive() bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(state, "Z")
}
