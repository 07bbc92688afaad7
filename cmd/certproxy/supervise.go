package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/systemd"
)

// A supervisor tells systemd how the service is, where that has started it.
type supervisor struct {
	index    func() *certs.Index
	ping     func(context.Context) error // asks the proxy whether it serves
	watchdog time.Duration               // how long systemd waits for a sign of life; 0 has no watchdog
	alive    func() error                // the sign
	log      *zap.Logger

	stopping atomic.Bool
}

// newSupervisor reads what systemd wants of the process.
func newSupervisor(index func() *certs.Index, ping func(context.Context) error, log *zap.Logger) (*supervisor, error) {
	interval, err := systemd.WatchdogInterval()
	if err != nil {
		return nil, fmt.Errorf("%w; it is systemd's to set: remove WATCHDOG_USEC from the environment", err)
	}
	return &supervisor{index: index, ping: ping, watchdog: interval, alive: systemd.Alive, log: log}, nil
}

func (s *supervisor) ready()     { s.told(systemd.Ready(summary(s.index(), time.Now()))) }
func (s *supervisor) reloading() { s.told(systemd.Reloading()) }
func (s *supervisor) changed()   { s.told(systemd.Status(summary(s.index(), time.Now()))) }

// stop tells that what is in flight is finished. The watchdog is fed until the process
// ends: that it accepts no more is as it should be.
func (s *supervisor) stop() {
	s.stopping.Store(true)
	s.told(systemd.Stopping("finishing what is in flight"))
}

func (s *supervisor) told(err error) {
	if err != nil {
		s.log.Warn("systemd cannot be told how the service is", zap.String("reason", err.Error()),
			zap.String("hint", "see NotifyAccess= of the unit, and whether the socket in NOTIFY_SOCKET is there"))
	}
}

// run feeds the watchdog as long as the proxy answers, and tells each hour how long
// certificates last, until ctx ends.
func (s *supervisor) run(ctx context.Context) {
	var feed <-chan time.Time
	if s.watchdog > 0 {
		ticker := time.NewTicker(s.watchdog / 3)
		defer ticker.Stop()
		feed = ticker.C
	}
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hourly.C:
			s.changed()
		case <-feed:
			s.feed(ctx)
		}
	}
}

func (s *supervisor) feed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.watchdog/3)
	defer cancel()
	if err := s.ping(ctx); err != nil && !s.stopping.Load() {
		if !errors.Is(err, context.Canceled) {
			s.log.Error("the proxy does not answer itself, so the watchdog is not fed", zap.String("reason", err.Error()),
				zap.Duration("restarted_after", s.watchdog))
		}
		return
	}
	s.told(s.alive())
}

// summary says in a line what is served, and what needs somebody soon.
func summary(ix *certs.Index, now time.Time) string {
	hosts := ix.Hosts()
	pairs := 0
	var next *certs.Pair
	var of string
	for _, h := range hosts {
		pairs += len(h.Pairs)
		for _, p := range h.Pairs {
			if next == nil || p.Leaf().NotAfter.Before(next.Leaf().NotAfter) {
				next, of = p, h.Name
			}
		}
	}
	parts := []string{count(len(hosts), "host") + ", " + count(pairs, "pair")}
	if n := len(ix.Problems(now)); n > 0 {
		parts = append(parts, count(n, "problem")+" (certproxy list)")
	}
	if next != nil {
		left := next.Leaf().NotAfter.Sub(now)
		what := "expires next, in " + count(int(left.Hours()/24), "day")
		if left <= 0 {
			what = "has expired"
		}
		parts = append(parts, fmt.Sprintf("pair %s of %s %s", next.Name, of, what))
	}
	return strings.Join(parts, "; ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
