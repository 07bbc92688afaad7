package integration

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/bench"
	"github.com/certproxy/certproxy/integration/rig"
)

// How long the soak is, and where its picture goes: see `make soak`.
var (
	soakMinutes = flag.Float64("soak.minutes", 0.1, "how long the soak takes")
	soakPlot    = flag.String("soak.plot", "", "the SVG file that the soak is drawn to")
)

// What certproxy holds is compared from so long a soak on.
const soakFlatFrom = 3 * time.Minute

// Not parallel: it takes the machine.
//
// Traffic of all kinds, reloads and faults, all the time: nothing is answered wrongly,
// healthy hosts are always answered, and after a warm-up certproxy holds no more memory,
// goroutines and descriptors as time goes by.
func TestSoak(t *testing.T) {
	whole := time.Duration(*soakMinutes * float64(time.Minute))
	f := newFaultField(t, soakConfig)
	f.quiet(t)
	began := time.Now()
	s := &soak{faultField: f, outcomes: map[string]int{}, wait: make(chan struct{})}
	watched := make(chan []sample)
	go func() { watched <- s.watch(began, whole) }()
	for round := 0; time.Since(began) < whole; round++ {
		s.round(t, round)
	}
	<-s.wait
	samples := <-watched
	v := f.vigil.Look()
	t.Logf("%v, %d rounds, %d reloads, %d connections given up; healthy hosts: %v; the faulty host's clients: %s",
		time.Since(began).Round(time.Second), s.rounds, s.reloads, s.aborted, v, counted(s.outcomes))
	if len(v.Wrong)+len(v.Failed) > 0 {
		t.Errorf("healthy hosts: wrong: %q, failed: %q", few(v.Wrong), few(v.Failed))
	}
	s.flat(t, samples, whole, v)
}

func few(all []string) []string { return all[:min(len(all), 5)] }

// A soak is what goes on in one, and what came of it.
type soak struct {
	*faultField
	outcomes                 map[string]int
	rounds, reloads, aborted int
	wait                     chan struct{} // closed when the samples are taken
}

// A sample is what certproxy held at a moment.
type sample struct {
	at time.Duration
	rig.Holding
}

// round lets one fault happen while the faulty host's pair is replaced and clients give
// up, and then asks it while it is well.
func (s *soak) round(t *testing.T, n int) {
	t.Helper()
	faults := rig.HostFaults()
	fault := faults[n%len(faults)]
	s.faulty.Be(&fault)
	for k, v := range s.crowd(t, &fault, 500*time.Millisecond) {
		s.outcomes[k] += v
	}
	s.faulty.Be(&rig.Fault{})
	s.faulty.Disconnect()
	rename(t, s.faulty.CA.Issue(pairOptions(s.faulty.Pair)), filepath.Join(s.proxy.Certs, s.faulty.Host()), "a")
	s.reloads++
	if n%8 == 7 {
		if err := s.proxy.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	stages := []string{"connected", "half a CONNECT", "CONNECT", "half a handshake", "handshake", "request", "request over HTTP/2", "tunnel"}
	unlisted := net.JoinHostPort("localhost", fmt.Sprint(s.faulty.Port))
	for i, stage := range stages {
		abort(t, s.proxy, stage, s.faulty.Host(), unlisted, i%2 == n%2)
		s.aborted++
	}
	for _, client := range []*http.Client{s.proxy.Client(t), s.proxy.ClientH2(t)} {
		for i := range 20 {
			r := rig.Ask(client, s.faulty.Host(), s.faulty.Pair, rig.Question{Seed: uint64(n<<8 | i), Up: i * 20_000, Down: i * 30_000})
			if r.Failed+r.Wrong != "" {
				t.Errorf("while the faulty host was well: %s%s", r.Failed, r.Wrong)
			}
		}
		client.CloseIdleConnections()
	}
	s.rounds++
}

// watch takes samples until the time is over.
func (s *soak) watch(began time.Time, whole time.Duration) []sample {
	defer close(s.wait)
	tick := time.NewTicker(max(whole/400, 250*time.Millisecond))
	defer tick.Stop()
	var all []sample
	for time.Since(began) < whole {
		<-tick.C
		if h, err := s.proxy.Holding(); err == nil {
			all = append(all, sample{time.Since(began), h})
		}
	}
	return all
}

// flat draws what was held, and compares the last quarter with the second one.
func (s *soak) flat(t *testing.T, samples []sample, whole time.Duration, v rig.Watched) {
	t.Helper()
	if len(samples) < 8 {
		t.Fatalf("only %d samples", len(samples))
	}
	quarter := len(samples) / 4
	var series []bench.Series
	for _, what := range []struct {
		name  string
		of    func(rig.Holding) float64
		slack float64
	}{
		{"memory (MiB)", func(h rig.Holding) float64 { return float64(h.Resident) / (1 << 20) }, 6},
		{"goroutines", func(h rig.Holding) float64 { return float64(h.Goroutines) }, 15},
		{"descriptors", func(h rig.Holding) float64 { return float64(h.Descriptors) }, 15},
	} {
		one := bench.Series{Name: what.name, From: samples[quarter].at.Minutes()}
		for _, x := range samples {
			one.At, one.Values = append(one.At, x.at.Minutes()), append(one.Values, what.of(x.Holding))
		}
		series = append(series, one)
		early, late := median(one.Values[quarter:2*quarter]), median(one.Values[3*quarter:])
		t.Logf("%s: %.1f in the second quarter, %.1f in the last (medians), %.1f at most", what.name, early, late, slices.Max(one.Values))
		if whole >= soakFlatFrom && !raceDetected(t) && late > early*1.1+what.slack {
			t.Errorf("%s grew from %.1f to %.1f; want at most %.1f", what.name, early, late, early*1.1+what.slack)
		}
	}
	caption := fmt.Sprintf("%s; %d answers of healthy hosts, %d wrong, %d failed; %d faults, %d reloads, %d connections given up", time.Now().UTC().Format("2006-01-02"),
		v.Answers, len(v.Wrong), len(v.Failed), s.rounds, s.reloads, s.aborted)
	svg := bench.Lines(fmt.Sprintf("certproxy over %.0f minutes of traffic, reloads and faults", whole.Minutes()), "minutes", caption, series...)
	if !strings.HasPrefix(svg, "<svg") {
		t.Error("no picture")
	}
	if *soakPlot != "" {
		if err := os.WriteFile(*soakPlot, []byte(svg), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// soakConfig has times that end a soak's faults soon, and its healthy requests never, even
// beside other work.
const soakConfig = "log_level: info\nattempt_timeout: 3s\nhandshake_timeout: 5s\nheader_timeout: 3s\nidle_timeout: 2s\n"

// quiet lets certproxy log errors alone: the lines of hours of requests would fill the
// memory of the tests.
func (f *faultField) quiet(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(filepath.Dir(f.proxy.CAFile))
	config := bytes.Replace(rig.Read(t, filepath.Join(dir, "config.yaml")), []byte("log_level: info"), []byte("log_level: error"), 1)
	rig.Write(t, dir, "config.yaml", config, 0o644)
	if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "it is quiet", func() bool {
		before := len(f.proxy.Log())
		<-time.After(100 * time.Millisecond)
		return len(f.proxy.Log()) == before
	})
}
