package main

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/proxy"
)

func TestTheLastRefusalIsSummedUp(t *testing.T) {
	for _, quiet := range []bool{true, false} {
		seen, lines := observer.New(zapcore.WarnLevel)
		r := &refusals{quiet: quiet}
		log := zap.New(seen).WithOptions(zap.WrapCore(r.core)).With(zap.Int("n", 1))
		if got := r.summary(); got != "" {
			t.Errorf("of nothing: %q", got)
		}
		log.Info("request served", zap.String("host", "a:443"))
		log.Warn("connect refused", zap.String("host", "a:443"), zap.String("reason", "no pair of a:443 can be used"), zap.String("hint", "make one"))
		log.Warn("connect refused", zap.String("host", "b:443"), zap.String("reason", "no way"), zap.String("hint", "wait"))
		log.Warn("connect refused", zap.String("host", "a:443"), zap.String("reason", "no pair of a:443 can be used"), zap.String("hint", "make one"))
		log.Warn("problem")
		want := "no pair of a:443 can be used; make one (and 1 other refusal before; --log-level warn shows each)"
		if got := r.summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		log.Warn("tunnel refused", zap.String("host", "c:443"), zap.String("reason", "no way"))
		if got, want := r.summary(), "c:443: no way (and 2 other refusals before; --log-level warn shows each)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		count := 1
		if !quiet {
			count = 5
		}
		if lines.Len() != count {
			t.Errorf("quiet %v: %d log lines, want %d", quiet, lines.Len(), count)
		}
	}
}

func TestAnAnswerThatRefusesEveryPairIsSummedUp(t *testing.T) {
	r := &refusals{}
	attempt := func(pair, verdict, outcome, then string) {
		r.attempted(proxy.Attempt{Host: "h:443", Pair: pair, Verdict: verdict, Outcome: outcome, Then: then})
	}
	attempt("a", "refused", "403", "next")
	attempt("b", "accepted", "200", "answer")
	attempt("a", "rejected", "alert 45 (expired certificate)", "next")
	attempt("b", "dropped", "connection closed (EOF)", "choose") // the proxy's own refusal
	attempt("b", "stale", "EOF", "again")
	if got := r.summary(); got != "" {
		t.Errorf("%q", got)
	}
	attempt("a", "refused", "403", "next")
	attempt("b", "rejected", "alert 45 (expired certificate)", "choose")
	if got, want := r.summary(), "h:443 accepted no client certificate (a: 403; b: alert 45 (expired certificate)); certproxy list shows its pairs"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
