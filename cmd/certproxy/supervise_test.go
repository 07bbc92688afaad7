package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestSummary(t *testing.T) {
	now := time.Now()
	root := t.TempDir()
	issuer := throwaway.NewCA("CA")
	dir := filepath.Join(root, "registry.example")
	issuer.WriteRoot(dir, "ca")
	for name, days := range map[string]int{"a": 200, "b": 100} {
		issuer.Issue(throwaway.Options{Name: name, NotAfter: now.Add(time.Duration(days)*24*time.Hour + time.Hour)}).WritePair(dir, name)
	}
	of := func() string { return summary(certs.NewStore([]certs.Root{certs.Dir(root)}, nil).Index(), now) }
	if got, want := of(), "1 host, 2 pairs; pair b of registry.example:443 expires next, in 100 days"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	issuer.Issue(throwaway.Options{Name: "c", NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}).WritePair(dir, "c")
	if got, want := of(), "1 host, 3 pairs; 1 problem (certproxy list); pair c of registry.example:443 has expired"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	root = t.TempDir()
	if got, want := of(), "0 hosts, 0 pairs"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}

// The watchdog is fed as long as the proxy answers, not once more, and again
// while it ends.
func TestTheWatchdogIsFedWhileTheProxyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.ErrorLevel)
		var hangs atomic.Bool
		var fed atomic.Int64
		s := &supervisor{
			index: certs.NewStore(nil, nil).Index, watchdog: 30 * time.Second, log: zap.New(core),
			ping: func(context.Context) error {
				if hangs.Load() {
					return errors.New("it hangs")
				}
				return nil
			},
			alive: func() error { fed.Add(1); return nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.run(ctx) }()
		expect := func(when string, want int64) {
			t.Helper()
			fed.Store(0)
			<-time.After(time.Minute)
			synctest.Wait()
			if got := fed.Load(); got != want {
				t.Errorf("%s: fed %d times in a minute; want %d", when, got, want)
			}
		}
		<-time.After(time.Second) // between two ticks
		expect("it answers", 6)
		hangs.Store(true)
		expect("it hangs", 0)
		if logs.Len() != 6 {
			t.Errorf("%d lines in the log; want one for each time", logs.Len())
		}
		s.stopping.Store(true)
		expect("it ends", 6)
		cancel()
		<-done
	})
}
