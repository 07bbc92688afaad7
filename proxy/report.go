package proxy

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// An Attempt is one request sent with one pair, for whoever watches.
type Attempt struct {
	Host, Pair string
	Verdict    string // what it means, one of [AttemptVerdicts]: "accepted", "rejected", "refused", ...
	Outcome    string // what happened: "200", "403", "alert 48 (unknown certificate authority)"
	Then       string // what follows: "answer", "next", "again", ...
	Status     int    // of the answer, 0 for none

	// Duration is the time from its beginning to the answer's header, or to what was
	// there instead. Where a connection had to be made that is in it, and so is the
	// sending of a body.
	Duration time.Duration
}

// tell reports an attempt and what follows it.
func (a *attempts) tell(o *outcome, what transition, once error) {
	if a.told != nil {
		a.told(Attempt{Host: a.upstream.host.Name, Pair: o.identity.name(), Verdict: o.verdict.String(), Outcome: o.String(), Then: string(what),
			Status: o.status, Duration: o.took})
	}
	if what == answer {
		return
	}
	fields := []zap.Field{
		zap.String("host", a.upstream.host.Name), zap.String("pair", o.identity.name()), zap.String("outcome", o.String()),
		zap.Stringer("verdict", o.verdict), zap.String("then", string(what)), zap.Duration("waited", o.waited),
	}
	if what == stop {
		a.log.Info("no other pair is tried", append(fields, zap.String("reason", once.Error()))...)
		return
	}
	a.log.Debug("attempt failed", fields...)
}

// hintAtRenegotiation says once per host what may be behind a 403 of a server that
// asked for no certificate: with TLS 1.3, Apache cannot ask after it has seen the
// path, and refuses every pair.
func (a *attempts) hintAtRenegotiation(o *outcome) {
	if o.verdict != notAsked || o.status != http.StatusForbidden || o.identity.pair == nil || a.upstream.settings.Renegotiation {
		return
	}
	a.upstream.hinted.Do(func() {
		a.log.Warn("the server refused without asking for a certificate", zap.String("host", a.upstream.host.Name), zap.Int("status", o.status),
			zap.String("hint", "if it asks for some paths only (Apache's SSLVerifyClient inside <Location>), set renegotiation: true for "+a.upstream.host.Name))
	})
}
