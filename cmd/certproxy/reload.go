package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/admin"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/watch"
)

// A reloader carries changes from the file system to the proxy, and says in the log
// what they changed.
type reloader struct {
	store    *certs.Store
	from     sources
	getenv   func(string) string
	started  *config.Config // what the process started with
	settings *settings
	doors    []opened // that run
	level    zap.AtomicLevel
	proxy    *proxy.Proxy
	log      *zap.Logger
	admin    *administration // told of each reading; nil tells nobody

	supervisor *supervisor

	mu   sync.Mutex
	said map[certs.Problem]bool // problems the log has told already
	hup  bool                   // the next change is answered as a SIGHUP
	was  admin.Reloads          // what became of them
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
	r.admin.reloaded(metrics.Certs, r.store.Index().Err())
	asked := r.takeHangup()
	if !delta.Empty() || asked {
		r.proxy.Reloaded()
		r.log.Info("reloaded", zap.Strings("added", describe(delta.Added)), zap.Strings("changed", describe(delta.Changed)),
			zap.Strings("removed", names(delta.Removed)), zap.Int("hosts", len(r.store.Index().Hosts())),
			zap.Duration("duration", time.Since(began)))
	}
	r.problems()
	if asked {
		r.mu.Lock()
		r.was.Answered = r.was.Asked
		r.mu.Unlock()
		r.supervisor.ready()
	} else if !delta.Empty() {
		r.supervisor.changed()
	}
}

// hangups answers each SIGHUP, until ctx ends: it reads the configuration again and
// asks for a rescan.
func (r *reloader) hangups(ctx context.Context, signals <-chan os.Signal, rescan func()) {
	for {
		select {
		case <-signals:
			r.supervisor.reloading()
			mistakes, restart := r.configure()
			r.mu.Lock()
			r.hup = true
			r.was.Asked++
			r.was.Mistakes, r.was.Restart = mistakes, restart
			r.mu.Unlock()
			rescan()
		case <-ctx.Done():
			return
		}
	}
}

// reloads tells of the SIGHUPs so far.
func (r *reloader) reloads() admin.Reloads {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.was
}

// configure reads the configuration again. One with mistakes changes nothing. It returns
// them, and the keys that have changed and need a restart.
func (r *reloader) configure() (mistakes, restart []string) {
	was := r.settings.current.Load()
	next, err := r.from.plan(was, r.getenv)
	if err == nil {
		err = next.stillAdmits(r.doors)
	}
	if err == nil && next.UpstreamProxy != was.UpstreamProxy {
		err = r.proxy.Reroute(next.UpstreamProxy)
	}
	r.admin.reloaded(metrics.Configuration, err)
	if err != nil {
		mistakes = strings.Split(err.Error(), "\n")
		r.log.Error("configuration not reloaded", zap.String("file", r.from.file.path), zap.Strings("mistakes", mistakes),
			zap.String("hint", "the one in use stays until a SIGHUP after this is corrected; certproxy serve --check-config tells beforehand"))
		return mistakes, nil
	}
	r.settings.current.Store(next)
	r.level.SetLevel(levelOf(next.LogLevel))
	if all, hosts := differences(was.Config, next.Config); len(all)+len(hosts) > 0 {
		r.proxy.Reloaded()
		r.log.Info("configuration reloaded", zap.String("file", r.from.file.path), zap.Bool("found", next.found),
			zap.Strings("changed_for_all", all), zap.Strings("changed", hosts))
	}
	if next.Htpasswd != was.Htpasswd {
		next.warnOfPasswords(r.log)
	}
	if restart = waiting(r.started, next.Config); len(restart) > 0 {
		r.log.Warn("configuration needs a restart", zap.String("file", r.from.file.path), zap.Strings("keys", restart),
			zap.String("hint", "restart certproxy (systemctl restart certproxy): until then these are as they were at its start"))
	}
	return nil, restart
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
