package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
	h, err := p.Holding()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Holding is [Certproxy.Holds] for whoever has no test to fail.
func (p *Certproxy) Holding() (Holding, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.Admin)
	}}
	answer, err := (&http.Client{Transport: transport, Timeout: Patience}).Get("http://localhost/metrics")
	if err != nil {
		return Holding{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return Holding{}, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = n
		}
	}
	h := Holding{int(values["process_resident_memory_bytes"]), int(values["go_goroutines"]), int(values["process_open_fds"])}
	if h.Resident == 0 || h.Goroutines == 0 || h.Descriptors == 0 {
		return h, fmt.Errorf("the metrics lack one of memory, goroutines and descriptors: %v", h)
	}
	return h, nil
}

// Settles waits until certproxy holds no more goroutines and descriptors than before,
// give or take those that its own connections to hosts need.
func (p *Certproxy) Settles(t testing.TB, before Holding) {
	t.Helper()
	const pooled = 24 + 2*16 // 16 pipes are kept, of two ends each, while anything moves in tunnels
	var now Holding
	took := Eventually(t, "certproxy holds what it held before", func() bool {
		now = p.Holds(t)
		return now.Goroutines <= before.Goroutines+pooled && now.Descriptors <= before.Descriptors+pooled
	})
	t.Logf("before %v; after %v (%v later)", before, now, took.Round(10*time.Millisecond))
}
