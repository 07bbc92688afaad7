package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// The promise is 250 ms from the last write. It is kept by the median: one change
// may meet a moment in which the machine does something else.
const (
	inEffect      = 250 * time.Millisecond
	inEffectWorst = 4 * inEffect
)

// Not parallel: it measures.
//
// While requests run against nginx, the pair is replaced, removed and put back. No
// request fails, and each change is in effect at once.
func TestReloadUnderLoad(t *testing.T) {
	s := rig.NginxNames(t, rig.NewIdentities(t, name))
	certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", name, s.Port)
	url := "https://" + host + "/"
	direct := s.Direct()
	if got := direct.Do(t, url); got.Status != 403 {
		t.Errorf("without a certificate: %v; want 403", got)
	}
	direct.Pair = s.Pair("good")
	if got := direct.Do(t, url); got.Status != 200 || string(got.Body) != "CN=good" {
		t.Errorf("with the pair, without certproxy: %v; want 200 as good", got)
	}

	s.CA.WriteRoot(filepath.Join(certs, host), "ca")
	dir := filepath.Join(certs, host)
	identity := func(name string) *throwaway.Certificate { return s.CA.Issue(throwaway.Options{Name: name}) }
	identity("first").WritePair(dir, "client")
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	load := newLoad(t, proxy.Client(t), url)
	load.await(t, "200 CN=first")

	t.Run("replaced", func(t *testing.T) {
		var took []time.Duration
		for i := range 9 {
			next := fmt.Sprintf("next-%d", i)
			if i%2 == 0 {
				identity(next).WritePair(dir, "client") // written in place, one file after the other
			} else {
				rename(t, identity(next), dir, "client")
			}
			took = append(took, load.await(t, "200 CN="+next))
		}
		measured(t, "a replaced pair", took)
	})
	if bad := load.other(); len(bad) > 0 {
		t.Errorf("while the pair was replaced, requests failed: %q", bad)
	}

	t.Run("removed and put back", func(t *testing.T) {
		var gone, back []time.Duration
		for i := range 5 {
			for _, ext := range []string{".cert", ".key"} {
				if err := os.Remove(filepath.Join(dir, "client"+ext)); err != nil {
					t.Fatal(err)
				}
			}
			// The CA root is still there: intercepted, without a certificate.
			gone = append(gone, load.await(t, "403"))
			again := fmt.Sprintf("again-%d", i)
			identity(again).WritePair(dir, "client")
			back = append(back, load.await(t, "200 CN="+again))
		}
		measured(t, "a removed pair", gone)
		measured(t, "a pair put back", back)
	})
	for _, bad := range load.other() {
		if bad != "403" {
			t.Errorf("while the pair was removed and put back: %s", bad)
		}
	}
	if n := len(proxy.Lines("reloaded")); n < 9+2*5 {
		t.Errorf("logged %d reloads; want one for each of %d changes at least", n, 9+2*5)
	}
}

func measured(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	t.Logf("%s was in effect after %v (median), %v (worst of %d)", what, median.Round(time.Millisecond), worst.Round(time.Millisecond), len(took))
	if median > inEffect {
		t.Errorf("%s: median %v; promised are %v", what, median, inEffect)
	}
	if worst > inEffectWorst {
		t.Errorf("%s: worst %v; promised are %v, and %v allowed for a busy machine", what, worst, inEffect, inEffectWorst)
	}
}

// rename replaces a pair as careful tools do: each file written beside it, then renamed.
func rename(t *testing.T, c *throwaway.Certificate, dir, name string) {
	t.Helper()
	c.WritePair(dir, ".new")
	for _, ext := range []string{".key", ".cert"} {
		if err := os.Rename(filepath.Join(dir, ".new"+ext), filepath.Join(dir, name+ext)); err != nil {
			t.Fatal(err)
		}
	}
}

// A load sends requests, one every few milliseconds, and counts the answers.
type load struct {
	client *http.Client
	url    string

	mu      sync.Mutex
	answers map[string]int // since the last await began
	strange map[string]int // other than 200, since the last call of other
}

func newLoad(t *testing.T, client *http.Client, url string) *load {
	l := &load{client: client, url: url, answers: map[string]int{}, strange: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					l.count(get(client, url))
				}
			}
		})
	}
	t.Cleanup(func() {
		stop()
		workers.Wait()
	})
	return l
}

// get returns the status and, for 200, the body; or the error.
func get(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	if answer.StatusCode != 200 {
		return fmt.Sprint(answer.StatusCode)
	}
	return "200 " + string(body)
}

func (l *load) count(answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[answer]++
	if len(answer) < 3 || answer[:3] != "200" {
		l.strange[answer]++
	}
}

// await waits until this is answered, and says how long that took. From then on
// nothing else may be answered.
func (l *load) await(t *testing.T, want string) time.Duration {
	t.Helper()
	l.mu.Lock()
	clear(l.answers)
	l.mu.Unlock()
	took := rig.Eventually(t, "the answer "+want, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.answers[want] > 0
	})
	for range 20 {
		if got := get(l.client, l.url); got != want {
			t.Errorf("answered %q after %q was in effect", got, want)
		}
	}
	return took
}

// other returns the answers other than 200 since the last call.
func (l *load) other() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for answer := range l.strange {
		all = append(all, answer)
	}
	clear(l.strange)
	return all
}
