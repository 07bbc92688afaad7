package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Vigil asks healthy hosts all the time, and looks at every answer: at its bytes, at
// the identity under which it was given, and at how long it took.
type Vigil struct {
	Calm time.Duration // p99 before anything went wrong

	quiet atomic.Bool

	mu    sync.Mutex
	takes []time.Duration
	wrong []string
	fails []string
}

const (
	// asksEvery is how often each of its clients asks.
	asksEvery = 4 * time.Millisecond
	// noise is a p99 that a machine which does something else as well makes by itself.
	noise = 250 * time.Millisecond
	// enoughAnswers is of how many at least a p99 is taken.
	enoughAnswers = 200
)

// Keep begins a vigil over hosts that have a directory, each asked over HTTP/1.1 and
// HTTP/2, and over one that has none and is reached through a tunnel. It ends with the
// test.
func Keep(t testing.TB, proxy *Certproxy, tunnelled *Honest, listed ...*Honest) *Vigil {
	t.Helper()
	v := &Vigil{}
	type asking struct {
		*http.Client
		*Honest
	}
	var all []asking
	for _, h := range listed {
		all = append(all, asking{proxy.Client(t), h}, asking{proxy.ClientH2(t), h})
	}
	if tunnelled != nil {
		all = append(all, asking{proxy.ownClient(t, tunnelled), tunnelled})
	}
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	t.Cleanup(func() { // before the clients' connections are closed
		stop()
		clients.Wait()
	})
	for i, a := range all {
		clients.Go(func() { v.ask(ctx, a.Client, a.Honest, uint64(i)) })
	}
	v.await(t, enoughAnswers/2) // connections are made, code is loaded
	v.take()
	v.await(t, enoughAnswers)
	s := v.take()
	if s.bad() != "" {
		t.Fatalf("in calm: %s", s.bad())
	}
	v.Calm = s.P99
	t.Logf("in calm: %v", s)
	return v
}

// ownClient presents the certificate itself, through a tunnel.
func (p *Certproxy) ownClient(t testing.TB, h *Honest) *http.Client {
	return p.clientTrusting(t, h.CA.Pool(), h.Good.TLS())
}

func (p *Certproxy) clientTrusting(t testing.TB, roots *x509.CertPool, own ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: p.Addr}),
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: own},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func (v *Vigil) ask(ctx context.Context, client *http.Client, h *Honest, stream uint64) {
	r := rand.New(rand.NewPCG(stream, uint64(h.Port)))
	tick := time.NewTicker(asksEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if v.quiet.Load() {
			continue
		}
		q := Question{Seed: r.Uint64() >> 1, Down: r.IntN(48 << 10)}
		if n%3 == 0 {
			q.Up, q.Down = 1+r.IntN(48<<10), r.IntN(100)
		}
		if n%32 == 31 {
			client.CloseIdleConnections() // the next one makes a connection
		}
		v.note(Ask(client, h.Host(), h.Pair, q))
	}
}

func (v *Vigil) note(r Reply) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takes = append(v.takes, r.Took)
	if r.Failed != "" {
		v.fails = append(v.fails, r.Failed)
	}
	if r.Wrong != "" {
		v.wrong = append(v.wrong, r.Wrong)
	}
}

// During lets a fault happen and checks what was answered meanwhile: nothing wrong,
// nothing failed, and the slow ones of all about as fast as in calm. What else a machine
// does makes time longer, never shorter, so where they are slower the calm after the fault
// counts as well, and the fault happens again, up to three times.
func (v *Vigil) During(t testing.TB, fault func()) {
	t.Helper()
	limit := max(3*v.Calm, noise)
	for rounds := 3; ; {
		v.take()
		fault()
		v.await(t, enoughAnswers)
		s := v.take()
		t.Logf("other hosts: %v (p99 in calm: %v)", s, round(v.Calm))
		if s.bad() != "" {
			t.Errorf("other hosts: %s", s.bad())
			return
		}
		if s.P99 <= limit {
			return
		}
		v.await(t, enoughAnswers)
		after := v.take()
		t.Logf("in the calm after it: %v", after)
		if limit = max(limit, 3*after.P99); s.P99 <= limit {
			return
		}
		if rounds--; rounds == 0 {
			t.Errorf("other hosts' p99 is %v; want at most %v, three times that of the calm (%v)", round(s.P99), limit, round(v.Calm))
			return
		}
	}
}

// Pause stops the asking, and resumes it.
func (v *Vigil) Pause(pause bool) { v.quiet.Store(pause) }

// Look returns what was answered since the last look, and forgets it.
func (v *Vigil) Look() Watched { return v.take() }

func (v *Vigil) await(t testing.TB, n int) {
	t.Helper()
	Eventually(t, "healthy hosts are answered", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return len(v.takes) >= n
	})
}

// Watched is what a vigil saw in a time.
type Watched struct {
	Answers  int
	P50, P99 time.Duration
	Failed   []string
	Wrong    []string
}

func (v *Vigil) take() Watched {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := Watched{Answers: len(v.takes), Failed: v.fails, Wrong: v.wrong}
	if s.Answers > 0 {
		slices.Sort(v.takes)
		s.P50, s.P99 = v.takes[s.Answers/2], v.takes[s.Answers*99/100]
	}
	v.takes, v.fails, v.wrong = nil, nil, nil
	return s
}

func (s Watched) bad() string {
	if len(s.Failed)+len(s.Wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("%d wrong and %d failed of %d, among them:\n%s", len(s.Wrong), len(s.Failed), s.Answers,
		strings.Join(append(s.Wrong[:min(5, len(s.Wrong)):min(5, len(s.Wrong))], s.Failed[:min(5, len(s.Failed))]...), "\n"))
}

func (s Watched) String() string {
	return fmt.Sprintf("%d answers, %d wrong, %d failed, p50 %v, p99 %v", s.Answers, len(s.Wrong), len(s.Failed), round(s.P50), round(s.P99))
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
