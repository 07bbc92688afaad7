package proxy

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// attempts sends one request with one pair after the other until one is accepted.
//
//	           ┌───────────────────────── next ◀───────────────────────────┐
//	           ▼                                                           │
//	order ─▶ attempt ─▶ judge ─┬─ accepted, not asked ──────▶ answer       │
//	           ▲  ▲            ├─ failed ───────────────────▶ fail         │
//	           │  └── again ◀──┼─ stale, unexpected                        │
//	           │               └─ rejected, dropped, refused ─┬────────────┘
//	        recall                                            ├─ cannot be sent again ─▶ stop
//	           └── those skipped, if no pair answered ◀───────┴─ no pair left ─────────▶ choose
//
// [attempts.decide] holds every arrow.
type attempts struct {
	upstream *upstream
	exchange *exchange
	client   *wire // to the client; nil where others share it
	send     func(*identity, *http.Request, *replay, plan, *sync.WaitGroup) outcome
	told     func(Attempt)
	log      *zap.Logger
	spoolDir string  // where bodies are kept that do not fit into memory
	kept     *budget // of the memory for those that do

	// interim is told of answers before the final one; it may be nil.
	interim func(status int, fields http.Header)
	// hidesExpect tells that a client's own Expect cannot be seen.
	hidesExpect bool
}

// A transition is what follows an attempt.
type transition string

const (
	answer transition = "answer" // its answer is the request's
	fail   transition = "fail"   // there is none, and no other pair can help
	again  transition = "again"  // the same pair once more, on a new connection
	next   transition = "next"   // the next pair
	recall transition = "recall" // no pair answered: those passed over from memory are asked after all
	stop   transition = "stop"   // another pair could follow, but the request cannot be sent again: what there is stands
	choose transition = "choose" // no pair is left: the most telling answer is returned
)

// A round is where a request stands.
type round struct {
	queue   []*identity // still to be tried, the next one first
	skipped []*identity // passed over from memory
	tried   []outcome
	best    int // of tried, the most telling of the answers that move on; -1 for none
	plan    plan
	repeat  bool // the last attempt was a second one with the same pair
}

// decide returns what follows an attempt. once is why the request cannot be sent
// once more, if so.
func (r *round) decide(o *outcome, once error) transition {
	switch o.verdict {
	case accepted, notAsked:
		return answer
	case stale, unexpected:
		switch {
		case !r.repeat && once == nil:
			return again
		case o.resp != nil:
			return answer
		}
		return fail
	case failed:
		return fail
	case rejected, dropped, refused:
	}
	switch {
	case len(r.queue) == 0 && (r.best >= 0 || o.resp != nil || len(r.skipped) == 0):
		return choose
	case once != nil:
		return stop
	case len(r.queue) == 0:
		return recall
	}
	return next
}

// roundTrip returns the answer to the request, or the error or refusal that stands for
// it. The caller closes the answer's body.
func (a *attempts) roundTrip(req *http.Request) (*http.Response, error) {
	settings := a.upstream.settings
	body := newReplay(req, a.exchange.trailers, settings.ReplayLimit, a.spoolDir)
	body.kept.budget = a.kept
	a.exchange.body = body
	a.exchange.stall.start(body)
	r := &round{best: -1, plan: plan{
		stall: a.exchange.stall, client: a.client, patience: settings.AttemptTimeout, interim: a.interim, hidesExpect: a.hidesExpect, noExpect: a.upstream.noExpect.Load()}}
	r.queue, r.skipped = a.upstream.memory.order(a.upstream.identities, req, time.Now())
	id := r.take()
	for {
		o := a.attempt(id, req, body, r)
		once := cannotRepeat(&o, req, body)
		what := r.decide(&o, once)
		a.tell(&o, what, once)
		a.upstream.memory.learn(id, o, time.Now())
		if o.verdict == unexpected || o.unheard && o.resp != nil {
			a.upstream.noExpect.Store(true) // it costs a second, or an attempt, each time
		}
		r.add(o, what)
		switch what {
		case next:
			id = r.take()
		case recall:
			r.queue, r.skipped = r.skipped, nil
			id = r.take()
		case again:
		case answer, fail, stop, choose:
			return a.end(r, what, req)
		}
		r.prepare(what, &o)
	}
}

// attempt sends the request once with one identity.
func (a *attempts) attempt(id *identity, req *http.Request, body *replay, r *round) outcome {
	r.plan.keep = len(r.queue) > 0
	r.plan.follows = r.plan.keep || len(r.skipped) > 0
	a.exchange.attempts++
	began := time.Now()
	o := a.send(id, req, body, r.plan, &a.exchange.writers)
	o.took = time.Since(began)
	return o
}

// take removes the first of the queue.
func (r *round) take() *identity {
	id := r.queue[0]
	r.queue = r.queue[1:]
	return id
}

// prepare makes the plan of the attempt that follows o.
func (r *round) prepare(what transition, o *outcome) {
	r.repeat = what == again
	r.plan.fresh = what == again
	r.plan.noExpect = r.plan.noExpect || o.verdict == unexpected
	if r.plan.patience > 0 {
		r.plan.patience = max(r.plan.patience-o.waited, time.Millisecond)
	}
}

// add notes an attempt. Of the answers that move on, the most telling stays open.
func (r *round) add(o outcome, what transition) {
	r.tried = append(r.tried, o)
	last := len(r.tried) - 1
	switch {
	case o.verdict != refused || what == stop:
	case r.best < 0:
		r.best = last
	case o.rank() < r.tried[r.best].rank():
		r.tried[r.best].giveUp()
		r.best = last
	default:
		r.tried[last].giveUp()
	}
}

// end returns the answer of one of the attempts, and gives up the others. Where there
// is none, the refusal says what happened to each.
func (a *attempts) end(r *round, what transition, req *http.Request) (*http.Response, error) {
	o := &r.tried[len(r.tried)-1]
	if r.best >= 0 && (what == choose || what == stop && o.resp == nil) {
		o = &r.tried[r.best]
	}
	for i := range r.tried {
		if other := &r.tried[i]; other != o {
			other.giveUp()
		}
	}
	a.exchange.pair = o.identity.name()
	switch {
	case o.resp != nil:
		if o.verdict == accepted {
			a.upstream.memory.succeeded(r.tried, req, time.Now())
		}
		a.hintAtRenegotiation(o)
		return o.resp, nil
	case o.verdict == failed || o.verdict == stale:
		return nil, o.err
	}
	return nil, exhausted(a.upstream.host, r.tried)
}

// cannotRepeat returns why a request must not be sent once more after this outcome;
// nil means that it may be.
func cannotRepeat(o *outcome, req *http.Request, body *replay) error {
	if body.exists() {
		if lost := body.repeatable(); lost != nil {
			return lost
		}
	}
	if !hasEffects(req) {
		return nil
	}
	unsent := body.exists() && !o.delivered
	switch {
	case o.status >= 500 && body.exists() && !unsent:
		return errMayHaveActed
	case o.verdict == stale && !unsent:
		return errMayHaveActed
	case o.verdict == dropped && body.exists() && o.complete:
		return errMayHaveActed
	}
	return nil
}

var errMayHaveActed = errors.New("the server may have acted on it already")
