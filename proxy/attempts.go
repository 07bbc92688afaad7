package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

// attempts sends a request with one pair after the other until one is accepted. It
// is the http.RoundTripper of one request.
//
//	           ┌──────────────────────── next pair ◀───────────────┐
//	           ▼                                                   │
//	order ─▶ attempt ─▶ judge ─┬─ accepted ────▶ answer            │
//	                           ├─ not asked ───▶ answer            │
//	                           ├─ failed ──────▶ error             │
//	                           ├─ stale ───────▶ same pair, once   │
//	                           └─ rejected, dropped, refused ──────┴─ none left ─▶ most telling
//
// A request that cannot be sent again ends with the answer it has.
type attempts struct {
	upstream *upstream
	exchange *exchange
	told     func(Attempt)
	log      *zap.Logger
}

// RoundTrip implements http.RoundTripper.
func (a *attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	queue, skipped := a.upstream.memory.order(a.upstream.identities, req, time.Now())
	single := len(a.upstream.identities) == 1
	body := newReplay(req.Body, !single)
	defer body.finish()

	var tried []outcome
	best := -1 // the most telling of the answers that are not good enough
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		o := a.attempt(req, id, body)
		if o.verdict == stale && body.repeatable() && !hasEffects(req) {
			id.transport.CloseIdleConnections() // the others may be as old
			o = a.attempt(req, id, body)
		}
		a.upstream.memory.learn(id, o, time.Now())
		tried = append(tried, o)
		last := len(tried) - 1
		if single || !o.verdict.next() {
			a.discard(tried, best)
			return a.end(req, tried, last)
		}
		if !o.mayRepeat(req, body) {
			a.log.Info("no other pair is tried", zap.String("host", a.upstream.host.Name), zap.String("pair", id.name()),
				zap.String("outcome", o.String()), zap.String("reason", body.why(o)))
			a.discard(tried, best)
			return a.end(req, tried, last)
		}
		if o.resp != nil && (best < 0 || o.rank() < tried[best].rank()) {
			a.discard(tried, best)
			best = last
		} else {
			o.close()
		}
		if req.Context().Err() != nil {
			a.discard(tried, best)
			return nil, context.Cause(req.Context())
		}
		if len(queue) == 0 && best < 0 {
			queue, skipped = skipped, nil // better ask again than refuse from memory
		}
	}
	return a.end(req, tried, best)
}

// end returns the answer of one of the tried pairs; -1 means that none answered.
func (a *attempts) end(req *http.Request, tried []outcome, which int) (*http.Response, error) {
	if which < 0 {
		return nil, a.exhausted(tried)
	}
	o := tried[which]
	a.exchange.pair = o.identity.name()
	if o.resp == nil {
		if o.verdict == rejected || o.verdict == dropped {
			return nil, a.exhausted(tried)
		}
		return nil, o.err
	}
	if o.verdict == accepted {
		a.upstream.memory.succeeded(tried, req, time.Now())
	}
	return o.resp, nil
}

// exhausted is the answer when no pair got one: each pair and its outcome.
func (a *attempts) exhausted(tried []outcome) *refusal {
	if len(tried) == 1 && tried[0].identity.pair == nil {
		return upstreamRefusal(a.upstream.host, tried[0].err)
	}
	list := make([]string, len(tried))
	for i, o := range tried {
		list[i] = o.identity.name() + ": " + o.String()
	}
	f := &refusal{status: http.StatusBadGateway, kind: "tls_certificate_error",
		text: a.upstream.host.Name + " accepted no client certificate (" + strings.Join(list, "; ") + ")",
		hint: "put a pair that the server accepts into " + a.upstream.host.Dir}
	if code, ok := remoteAlert(tried[len(tried)-1].err); ok {
		f.kind = "tls_alert_received"
		f.params = alertParam(code)
	}
	return f
}

// discard closes an answer that will not be returned.
func (a *attempts) discard(tried []outcome, i int) {
	if i >= 0 {
		tried[i].close()
	}
}

// attempt sends the request once with one identity.
func (a *attempts) attempt(req *http.Request, id *identity, body *replay) outcome {
	began := time.Now()
	o := id.send(req, body)
	a.exchange.attempts++
	if o.verdict != accepted && o.verdict != notAsked {
		a.log.Debug("attempt failed", zap.String("host", a.upstream.host.Name), zap.String("pair", id.name()),
			zap.String("outcome", o.String()), zap.Stringer("verdict", o.verdict), zap.Duration("duration", time.Since(began)))
	}
	if a.told != nil {
		a.told(Attempt{Host: a.upstream.host.Name, Pair: id.name(), Verdict: o.verdict.String(), Outcome: o.String()})
	}
	return o
}

// An Attempt is one request sent with one pair, for whoever watches.
type Attempt struct {
	Host, Pair string
	Verdict    string // what it led to: "accepted", "rejected", "refused", ...
	Outcome    string // what happened: "200", "403", "alert 48 (unknown certificate authority)"
}

// maxDrain is how much of an unwanted answer is read so that its connection can be
// used again. Anything longer costs more than a new connection.
const maxDrain = 16 << 10

// close gives up an answer.
func (o *outcome) close() {
	if o.resp == nil {
		return
	}
	if o.resp.ContentLength >= 0 && o.resp.ContentLength <= maxDrain {
		_, _ = io.CopyN(io.Discard, o.resp.Body, maxDrain)
	}
	_ = o.resp.Body.Close()
}
