package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/watch"
)

// A reloader carries changes from the file system to the proxy, and says in the log
// what they changed.
type reloader struct {
	store *certs.Store
	proxy *proxy.Proxy
	log   *zap.Logger

	mu   sync.Mutex
	said map[certs.Problem]bool // problems the log has told already
	hup  bool                   // the next change is answered as a SIGHUP
}

// began logs what was loaded at start.
func (r *reloader) began() {
	hosts := r.store.Index().Hosts()
	pairs := 0
	for _, h := range hosts {
		pairs += len(h.Pairs)
	}
	r.log.Info("loaded", zap.Int("hosts", len(hosts)), zap.Int("pairs", pairs))
	r.problems()
}

// changed is told by the watcher.
func (r *reloader) changed(c watch.Change) {
	began := time.Now()
	dirs := c.Dirs
	if c.All {
		dirs = nil
	}
	delta := r.store.Reload(dirs)
	asked := r.takeHangup()
	if !delta.Empty() || asked {
		r.proxy.Reloaded()
		r.log.Info("reloaded", zap.Strings("added", describe(delta.Added)), zap.Strings("changed", describe(delta.Changed)),
			zap.Strings("removed", names(delta.Removed)), zap.Int("hosts", len(r.store.Index().Hosts())),
			zap.Duration("duration", time.Since(began)))
	}
	r.problems()
}

// hangups asks for a rescan at each SIGHUP, until ctx ends.
func (r *reloader) hangups(ctx context.Context, rescan func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
			r.mu.Lock()
			r.hup = true
			r.mu.Unlock()
			rescan()
		case <-ctx.Done():
			return
		}
	}
}

func (r *reloader) takeHangup() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.hup
	r.hup = false
	return asked
}

// problems logs each problem once, and again if it comes back after it was gone.
func (r *reloader) problems() {
	now := map[certs.Problem]bool{}
	for _, p := range r.store.Index().Problems(time.Now()) {
		now[p] = true
		if r.said[p] {
			continue
		}
		fields := []zap.Field{zap.String("host", p.Host), zap.String("pair", p.Pair), zap.String("path", p.Path),
			zap.String("problem", string(p.Kind)), zap.String("detail", p.Detail), zap.String("hint", p.Hint)}
		if p.Used {
			r.log.Warn("problem", fields...)
		} else {
			r.log.Error("problem", fields...)
		}
	}
	r.said = now
}

// warn logs that watching is worse than it should be.
func (r *reloader) warn(err error) { r.log.Warn("watching is degraded", zap.Error(err)) }

// describe tells hosts with their pairs in order.
func describe(hosts []*certs.Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name + " (" + h.Action.String() + ":"
		for _, p := range h.Pairs {
			out[i] += " " + p.Name
		}
		out[i] += ")"
	}
	return out
}

func names(hosts []*certs.Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name
	}
	return out
}
