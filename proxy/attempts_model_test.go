package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
)

// A happening is what the model's server does with one attempt.
type happening struct {
	name      string
	status    int // zero: no answer
	err       error
	notAsked  bool // the server asked for no certificate
	reused    bool // it went over a kept connection
	challenge bool // a 401 says how to authenticate
	nginx     bool // a 400 is nginx's about the certificate
}

// happenings are all that an attempt can come to.
func happenings() []happening {
	alert := &net.OpError{Op: "remote error", Err: tls.AlertError(48)}
	return []happening{
		{name: "200", status: 200},
		{name: "403", status: 403},
		{name: "404", status: 404},
		{name: "503", status: 503},
		{name: "495", status: 495},
		{name: "429", status: 429},
		{name: "401", status: 401},
		{name: "401 challenge", status: 401, challenge: true},
		{name: "400", status: 400},
		{name: "400 nginx", status: 400, nginx: true},
		{name: "404 unasked", status: 404, notAsked: true},
		{name: "alert", err: alert},
		{name: "alert in handshake", err: &handshakeError{err: alert, presented: true}},
		{name: "reset", err: syscall.ECONNRESET},
		{name: "kept connection dead", err: io.EOF, reused: true},
		{name: "417", status: 417},
		{name: "refuses connections", err: &dialError{syscall.ECONNREFUSED}},
		{name: "timeout", err: errAttemptTimeout},
	}
}

// moves reports whether an outcome is about the pair (SPEC section 5, "Next pair
// when"), and how telling its answer is ("When all fail").
func (h happening) moves() (moves bool, rank int) {
	switch h.name {
	case "404":
		return true, 0
	case "503":
		return true, 1
	case "401", "403":
		return true, 2
	case "495", "400 nginx":
		return true, 3
	case "alert", "alert in handshake", "reset":
		return true, 9
	}
	return false, 9
}

// A script is a request and what happens to each pair's attempts.
type script struct {
	method  string
	body    int // bytes; zero for none
	limit   int // how many of them may be kept
	skipped map[int]bool
	steps   [][]step // by pair, in the order of its attempts; then the last one again
}

// A step is one attempt: what happens, after how much of the body was sent.
type step struct {
	happening
	sent int
}

func (s script) step(pair, attempt int) step {
	steps := s.steps[pair]
	st := steps[min(attempt, len(steps)-1)]
	if st.sent = min(st.sent, s.body); st.name == "417" && attempt == 0 {
		st.sent = 0 // said before the body
	}
	return st
}

// expected is section 5 in a few lines: who is asked, in which order, and whose
// answer is returned (-1: a list of what happened).
func (s script) expected() (asked []int, answer string) {
	effects, kept, lost, expects := s.method == "POST", 0, false, s.body > 0
	var queue, skipped []int
	for i := range s.steps {
		if s.skipped[i] {
			skipped = append(skipped, i)
		} else {
			queue = append(queue, i)
		}
	}
	if len(queue) == 0 {
		queue, skipped = skipped, nil
	}
	best, bestRank := "list", 9
	for tries := make([]int, len(s.steps)); len(queue) > 0; {
		pair, follows := queue[0], len(queue) > 1
		var st step
		for second := false; ; second = true {
			st = s.step(pair, tries[pair])
			tries[pair]++
			asked = append(asked, pair)
			if st.sent > kept {
				kept, lost = st.sent, lost || !follows || st.sent > s.limit
			}
			dead := st.reused && !second && !lost && (!effects || s.body > 0 && st.sent == 0)
			odd := st.name == "417" && expects && len(queue)+len(skipped) > 1 && !second && st.sent == 0 && !lost
			if !dead && !odd {
				break
			}
			expects = expects && !odd
		}
		queue = queue[1:]
		moves, rank := st.moves()
		if !moves {
			return asked, st.result(pair)
		}
		if rank < bestRank {
			best, bestRank = st.result(pair), rank
		}
		acted := effects && s.body > 0 && (st.status >= 500 && st.sent > 0 || st.name == "reset" && st.sent == s.body)
		switch {
		case len(queue) > 0 && !lost && !acted:
		case len(queue) > 0 || bestRank == 9 && len(skipped) > 0 && (lost || acted):
			if st.status > 0 {
				return asked, st.result(pair)
			}
			return asked, best
		case bestRank == 9:
			queue, skipped = skipped, nil
		}
	}
	return asked, best
}

func (st step) result(pair int) string {
	if st.status == 0 {
		return "error"
	}
	return fmt.Sprintf("%d from %d", st.status, pair)
}

// A counted body notes that it was closed.
type countedBody struct {
	io.Reader
	open *int
}

func (c countedBody) Close() error { *c.open--; return nil }

// run lets the engine play the script.
func (s script) run(t *testing.T) (asked []int, answer string) {
	fallback := DefaultHostSettings()
	fallback.ReplayLimit = int64(s.limit)
	up := &upstream{host: &certs.Host{Name: "h:443", Dir: "certs.d/h"}, settings: fallback, memory: newMemory(time.Minute)}
	for i := range s.steps {
		id := &identity{key: identityKey{name: fmt.Sprint(i), settings: fallback}, pair: &certs.Pair{}}
		up.identities = append(up.identities, id)
		if s.skipped[i] {
			up.memory.rejected[id] = time.Now()
		}
	}
	open, tries := 0, make([]int, len(s.steps))
	send := func(id *identity, req *http.Request, body *replay, how plan, _ *sync.WaitGroup) outcome {
		pair := slices.Index(up.identities, id)
		st := s.step(pair, tries[pair])
		tries[pair]++
		asked = append(asked, pair)
		o := outcome{identity: id, conn: &upstreamConn{shared: true}, err: st.err, asked: !st.notAsked, reused: st.reused && !how.fresh,
			delivered: st.sent > 0, complete: s.body > 0 && st.sent == s.body, expectation: body.exists() && how.follows && !how.noExpect}
		if rd := body.reader(how.keep); rd != nil {
			if _, err := io.ReadFull(rd, make([]byte, st.sent)); err != nil {
				t.Fatalf("attempt %d could not read %d bytes of the body: %v", len(asked), st.sent, err)
			}
		}
		if o.err != nil {
			if st.reused && how.fresh {
				o.reused, o.err = false, &dialError{syscall.ECONNREFUSED}
			}
			o.verdict = judgeError(&o)
			return o
		}
		open++
		o.status, o.nginx400 = st.status, st.nginx
		o.resp = &http.Response{StatusCode: st.status, Header: http.Header{}, ContentLength: 0, Body: countedBody{strings.NewReader(""), &open}}
		if st.challenge {
			o.resp.Header.Set("WWW-Authenticate", "Bearer")
		}
		o.verdict = judgeAnswer(&o, fallback.Fallback)
		return o
	}
	a := &attempts{upstream: up, exchange: &exchange{}, send: send, log: zap.NewNop()}
	req := &http.Request{Method: s.method, URL: &url.URL{Path: "/"}, Header: http.Header{}}
	if s.body > 0 {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", s.body))), -1
	}
	resp, err := a.roundTrip(req.WithContext(t.Context()))
	a.exchange.end(httptest.NewRecorder())
	want := 0
	var list *refusal
	switch {
	case resp != nil:
		answer, want = fmt.Sprintf("%d from %s", resp.StatusCode, a.exchange.pair), 1
	case errors.As(err, &list):
		answer = "list"
	default:
		answer = "error"
	}
	if open != want {
		t.Errorf("%d answers are left open, want %d", open, want)
	}
	return asked, answer
}

// Random servers: the order of the attempts, their number, and the answer are those
// of section 5.
func FuzzAttempts(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0})
	f.Add([]byte{3, 1, 7, 0, 11, 3, 3, 9, 1, 0, 0, 14, 2, 2})
	f.Add([]byte{2, 3, 200, 5, 13, 250, 3, 250, 15, 0, 1, 1})
	for i := range 64 { // without the fuzzer's engine too
		seed := make([]byte, 40)
		for j := range seed {
			seed[j] = byte(i*7 + j*j*13 + i*j)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		take := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := int(data[0]) % n
			data = data[1:]
			return b
		}
		all := happenings()
		s := script{method: []string{"GET", "PUT", "POST"}[take(3)], skipped: map[int]bool{}}
		if s.method != "GET" {
			s.body = take(4) * 100
		}
		s.limit = []int{1 << 20, 150, 0}[take(3)]
		for i := range 1 + take(5) {
			s.skipped[i] = take(4) == 3
			var steps []step
			for range 1 + take(3) {
				steps = append(steps, step{happening: all[take(len(all))], sent: take(4) * 100})
			}
			s.steps = append(s.steps, steps)
		}
		if len(s.steps) == 1 {
			s.skipped[0] = false // a single pair is never passed over
		}
		wantAsked, wantAnswer := s.expected()
		asked, answer := s.run(t)
		if !slices.Equal(asked, wantAsked) || answer != wantAnswer {
			t.Errorf("asked %v and got %q, want %v and %q\nscript %+v", asked, answer, wantAsked, wantAnswer, s)
		}
	})
}
