package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Beside nothing else: it takes all processors.
//
// Of 10,000 requests of every kind, 32 at once, with bodies of up to 8 MiB, to
// servers that refuse two pairs of three, each in its own way, and that close old
// connections while a request comes, none fails. Each arrives whole, and what must
// not be done twice is delivered once.
func TestTenThousandRequestsAllArriveOnce(t *testing.T) {
	const requests, bursts = 10_000, 4
	id := rig.NewIdentities(t, name)
	certs := rig.Dir(t)
	ledger := &ledger{noise: make([]byte, 8<<20), delivered: map[string]int{}}
	rand.NewChaCha8([32]byte{4}).Read(ledger.noise)
	var servers []*rig.Refusing
	for _, r := range rig.Refusals() {
		s := r.Start(t, id, ledger)
		s.HostDir(certs, hostOf(s.Server), id.Expired, id.Wrong, id.Good)
		servers = append(servers, s)
	}

	began := time.Now()
	var failures []string
	for _, config := range []string{"", "pair_memory: 0\n"} {
		proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Config: config})
		clients := []*http.Client{proxy.Client(t), proxy.ClientH2(t)}
		for burst := range bursts {
			for _, s := range servers {
				if burst > 0 {
					s.AwaitOld(t)
				}
			}
			failures = append(failures, storm(requests/2/bursts, func(i int) error {
				o := newOrder(burst*requests+i, config == "")
				return ledger.check(t.Context(), clients[i/2%2], "https://"+hostOf(servers[i%len(servers)].Server), o)
			})...)
		}
	}
	t.Logf("%d requests in %v, %d MiB up, %d MiB down", requests, time.Since(began).Round(time.Millisecond), ledger.up.Load()>>20, ledger.down.Load()>>20)
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, among them:\n%s", len(failures), requests, strings.Join(failures[:min(20, len(failures))], "\n"))
	}
	ledger.onceEach(t)
	for i, s := range servers {
		t.Logf("the server that refuses with %s did so %d times, and lost %d requests on old connections", rig.Refusals()[i].Name, s.Refused.Load(), s.Unread.Load())
		if least := int64(requests / 2 / len(servers)); s.Refused.Load() < 2*least || s.Unread.Load() == 0 {
			t.Errorf("that is too few: without pair memory alone %d requests met two bad pairs", least)
		}
	}
}

// storm calls do with 0 to n-1, 32 at once, and returns what failed.
func storm(n int, do func(i int) error) (failures []string) {
	var next atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					failures = append(failures, err.Error())
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return failures
}

// An order is one request to make.
type order struct {
	id, method string
	up, down   []int // where in the noise the bodies begin and end
	chunked    bool  // of unknown length
}

func (o order) String() string {
	return fmt.Sprintf("%s %s, body of %d bytes, of unknown length: %t, asks for %d", o.method, o.id, o.up[1]-o.up[0], o.chunked, o.down[1]-o.down[0])
}

func newOrder(i int, remembering bool) order {
	r := rand.New(rand.NewPCG(4, uint64(i)))
	methods := []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "POST"}
	o := order{
		id: fmt.Sprintf("%t-%d", remembering, i), method: methods[i%len(methods)],
		up: []int{0, 0}, down: []int{0, 0}, chunked: r.IntN(3) == 0,
	}
	switch o.method {
	case "PUT", "POST", "PATCH":
		o.up = part(r, i)
	case "GET":
		o.down = part(r, i)
	}
	return o
}

// part chooses a part of the noise: mostly little, sometimes all, and lengths at
// which a buffer may end.
func part(r *rand.Rand, i int) []int {
	const most = 8 << 20
	edges := []int{0, 1, 4<<10 - 1, 4 << 10, 32 << 10, 64<<10 + 1, 256 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, most - 1, most}
	var n int
	switch p := r.IntN(100); {
	case p < 8:
		n = edges[i%len(edges)]
	case p < 20:
		n = 0
	case p < 83:
		n = r.IntN(64 << 10)
	case p < 98:
		n = r.IntN(1 << 20)
	default:
		n = r.IntN(most)
	}
	from := r.IntN(most - n + 1)
	return []int{from, from + n}
}

// A ledger is behind all of the servers: it answers each request with the SHA-256
// of its body, and notes which request it has had whole.
type ledger struct {
	noise    []byte
	up, down atomic.Int64

	mu        sync.Mutex
	delivered map[string]int // "POST true-17"
}

const (
	idHeader   = "X-Test-Id"
	wantHeader = "X-Test-Want" // "from to", of the noise
	sumHeader  = "X-Test-Sha256"
)

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		return // not delivered
	}
	l.up.Add(n)
	key := r.Method + " " + r.Header.Get(idHeader)
	l.mu.Lock()
	l.delivered[key]++
	l.mu.Unlock()
	var from, to int
	if _, err := fmt.Sscan(r.Header.Get(wantHeader), &from, &to); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.Header().Set(sumHeader, fmt.Sprintf("%x", sum.Sum(nil)))
	w.Header().Set("Content-Length", strconv.Itoa(to-from))
	m, _ := w.Write(l.noise[from:to]) // nothing for HEAD
	l.down.Add(int64(m))
}

// check makes one request and says what is wrong with its answer.
func (l *ledger) check(ctx context.Context, client *http.Client, url string, o order) error {
	body := l.noise[o.up[0]:o.up[1]]
	request, err := http.NewRequestWithContext(ctx, o.method, url+"/"+o.id, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.GetBody = nil // the client must not make good what the proxy lost
	if o.chunked && len(body) > 0 {
		request.ContentLength = -1
	}
	request.Header.Set(idHeader, o.id)
	request.Header.Set(wantHeader, fmt.Sprint(o.down[0], " ", o.down[1]))
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	switch want := l.noise[o.down[0]:o.down[1]]; {
	case err != nil:
		return fmt.Errorf("%v: %w", o, err)
	case answer.StatusCode != 200:
		return fmt.Errorf("%v: %s %.300q", o, answer.Status, got)
	case answer.Header.Get(sumHeader) != fmt.Sprintf("%x", sha256.Sum256(body)):
		return fmt.Errorf("%v: another body arrived", o)
	case o.method != "HEAD" && !bytes.Equal(got, want):
		return fmt.Errorf("%v: another body came back, of %d bytes", o, len(got))
	case answer.ContentLength != int64(len(want)):
		return fmt.Errorf("%v: Content-Length %d", o, answer.ContentLength)
	}
	return nil
}

// onceEach checks that POST and PATCH, which repeated would do twice what was asked
// for once, were delivered once.
func (l *ledger) onceEach(t *testing.T) {
	t.Helper()
	var twice []string
	for key, times := range l.delivered {
		if times > 1 && (strings.HasPrefix(key, "POST ") || strings.HasPrefix(key, "PATCH ")) {
			twice = append(twice, fmt.Sprintf("%s (%d times)", key, times))
		}
	}
	slices.Sort(twice)
	if len(twice) > 0 {
		t.Errorf("delivered more than once: %d requests, among them %q", len(twice), twice[:min(20, len(twice))])
	}
}
