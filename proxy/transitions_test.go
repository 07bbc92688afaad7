package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/certproxy/certproxy/certs"
)

// Every arrow of the diagram in attempts.go, by its name.
func TestWhatFollowsAnAttempt(t *testing.T) {
	left, none := []*identity{{}}, []*identity(nil)
	unrepeatable := errors.New("it cannot be sent again")
	answered := func(v verdict) outcome { return outcome{verdict: v, resp: &http.Response{}} }
	for _, test := range []struct {
		what  string
		round round
		o     outcome
		once  error
		want  transition
	}{
		{"an answer that says nothing against the pair", round{queue: left}, answered(accepted), nil, answer},
		{"an answer of a server that did not ask", round{queue: left}, answered(notAsked), nil, answer},
		{"a host that cannot be reached", round{queue: left}, outcome{verdict: failed}, nil, fail},
		{"a kept connection that died", round{queue: left}, outcome{verdict: stale}, nil, again},
		{"a new connection that died as a kept one would", round{queue: left, repeat: true}, outcome{verdict: stale}, nil, fail},
		{"a kept connection that died with what must not be sent twice", round{queue: left}, outcome{verdict: stale}, unrepeatable, fail},
		{"a server that does not understand our Expect", round{queue: left}, answered(unexpected), nil, again},
		{"a server that says 417 without our Expect too", round{queue: left, repeat: true}, answered(unexpected), nil, answer},
		{"an alert", round{queue: left, best: -1}, outcome{verdict: rejected}, nil, next},
		{"a connection that died new", round{queue: left, best: -1}, outcome{verdict: dropped}, nil, next},
		{"a refusal by status", round{queue: left, best: -1}, answered(refused), nil, next},
		{"a refusal of what cannot be sent again", round{queue: left, best: -1}, answered(refused), unrepeatable, stop},
		{"the last pair's refusal", round{queue: none, best: -1}, answered(refused), nil, choose},
		{"the last pair's refusal of what cannot be sent again", round{queue: none, best: -1}, answered(refused), unrepeatable, choose},
		{"the last pair's alert after an answer", round{queue: none, best: 0, skipped: left}, outcome{verdict: rejected}, nil, choose},
		{"the last alert, and others were passed over", round{queue: none, best: -1, skipped: left}, outcome{verdict: rejected}, nil, recall},
		{"the same with what cannot be sent again", round{queue: none, best: -1, skipped: left}, outcome{verdict: rejected}, unrepeatable, stop},
	} {
		if got := test.round.decide(&test.o, test.once); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
}

// The log has each attempt that failed with the transition's name.
func TestTheLogNamesWhatFollowsAnAttempt(t *testing.T) {
	r := newRig(t)
	host := r.server(byName(map[string]int{"b": 403, "c": 500}), rejecting("a"))
	r.list(host, "a", "b", "c", "d")
	if got, _ := r.do(r.client(1), "POST", host, "/", "x"); got != 500 {
		t.Errorf("status %d", got)
	}
	r.logged("request served")
	var then []string
	for _, e := range r.logs.All() {
		if v, ok := e.ContextMap()["then"].(string); ok {
			then = append(then, v)
		}
	}
	if !slices.Equal(then, []string{"next", "next", "stop"}) {
		t.Errorf("the log says %v", then)
	}
	stopped := r.logs.FilterMessage("no other pair is tried").All()
	if len(stopped) != 1 || stopped[0].Level != zapcore.InfoLevel || stopped[0].ContextMap()["reason"] != errMayHaveActed.Error() {
		t.Errorf("why it stopped: %v", stopped)
	}
}

// With what is remembered the steady state costs one attempt, and a reload forgets.
func TestTheSteadyStateCostsOneAttempt(t *testing.T) {
	r := newRig(t)
	w, host := r.witness(rejecting("a"))
	w.refuse["b"] = 403
	r.list(host, "a", "b", "c")
	for i, want := range [][]string{{"b", "c"}, {"c"}, {"c"}} { // a's never come as far as the handler
		if got, _ := r.get(host, "/v2/x/manifests/1"); got != 200 {
			t.Fatalf("request %d: %d", i, got)
		}
		if seen := w.took(); !slices.Equal(seen, want) {
			t.Errorf("request %d came as %v, want %v", i, seen, want)
		}
	}
	r.took()
	r.reload()
	r.get(host, "/v2/x/manifests/1")
	if got := r.took(); len(got) != 3 {
		t.Errorf("after a reload: attempts %v, want all three", got)
	}
}

func TestWithoutMemoryEachRequestTriesAllPairs(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Host = settings(func(s *HostSettings) { s.PairMemory = 0 }) })
	host := r.server(byName(map[string]int{"b": 403}), rejecting("a"))
	r.list(host, "a", "b", "c")
	for range 3 {
		r.get(host, "/")
		if got := r.took(); len(got) != 3 {
			t.Errorf("attempts %v", got)
		}
	}
}

func TestOtherStatusesCanMoveOn(t *testing.T) {
	teapot := only(418)
	r := newRig(t, func(c *Config) { c.Host = settings(func(s *HostSettings) { s.Fallback = teapot }) })
	host := r.server(byName(map[string]int{"a": 418, "b": 403}))
	r.list(host, "a", "b", "c")
	if got, _ := r.get(host, "/"); got != 403 {
		t.Errorf("status %d, want b's 403, which does not move on here", got)
	}
}

type only int

func (o only) Has(status int) bool { return status == int(o) }

// A body is kept only while a pair is left that could need it: never for a single
// one, and not for the last.
func TestABodyIsKeptOnlyWhileAPairIsLeft(t *testing.T) {
	for _, n := range []int{1, 3} {
		up := &upstream{host: &certs.Host{Name: "h:443"}, settings: DefaultHostSettings(), memory: newMemory(0)}
		for range n {
			up.identities = append(up.identities, &identity{pair: &certs.Pair{}})
		}
		var kept []bool
		a := &attempts{upstream: up, exchange: &exchange{}, log: zap.NewNop()}
		a.send = func(id *identity, _ *http.Request, _ *replay, how plan, _ *sync.WaitGroup) outcome {
			kept = append(kept, how.keep)
			return outcome{identity: id, verdict: rejected, err: errKeyUnsupported}
		}
		req, err := http.NewRequest("PUT", "https://h/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.roundTrip(req); err == nil {
			t.Error("it was answered")
		}
		if want := []bool{true, true, false}[3-n:]; !slices.Equal(kept, want) {
			t.Errorf("%d pairs: kept %v, want %v", n, kept, want)
		}
	}
}
