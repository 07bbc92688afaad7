package main

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/watch"
)

// The parts of a proxy that serves, connected to each other.
type parts struct {
	log        *zap.Logger
	gate       *gate
	proxy      *proxy.Proxy
	admin      *administration // nil for no admin listener
	doors      []opened
	supervisor *supervisor
	reloader   *reloader
	watcher    *watch.Watcher
}

// build makes the parts as a plan wants them. With an error, all that was opened is
// closed.
func build(ctx context.Context, o serveOptions, p *plan) (_ *parts, err error) {
	s := &parts{log: o.log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	level := o.level
	if s.log == nil {
		level = zap.NewAtomicLevel()
		s.log = newLogger(o.stderr, level, p.LogFormat)
	}
	level.SetLevel(levelOf(p.LogLevel))
	authority, made, err := ca.LoadOrCreate(p.state)
	if err != nil {
		return nil, err
	}
	store := certs.NewStore(p.roots, authority.Owns)
	if err := store.Index().Err(); err != nil {
		return nil, err
	}
	p.warnOfPasswords(s.log)
	settings := newSettings(p)
	s.gate = newGate(settings, s.log)
	wiring := proxy.Config{
		Index: store, Leaves: authority, RefuseUnlisted: settings.refuseUnlisted, Host: settings.host, Logger: s.log, Attempted: o.attempted,
		Gate: s.gate, Disown: access.Disown, UpstreamProxy: p.UpstreamProxy, Getenv: o.getenv,
		HandshakeTimeout: p.HandshakeTimeout, HeaderTimeout: p.HeaderTimeout, IdleTimeout: p.IdleTimeout, DrainTimeout: p.DrainTimeout,
	}
	if s.admin, err = startAdmin(ctx, p, &wiring, store, authority, s.gate.lookup, s.log); err != nil {
		return nil, err
	}
	if s.proxy, err = proxy.New(wiring); err != nil {
		return nil, err
	}
	s.admin.shows(s.proxy)
	if s.doors, err = openDoors(ctx, p, o.passed, s.log); err != nil {
		return nil, err
	}
	if s.supervisor, err = newSupervisor(store.Index, s.proxy.Ping, s.log); err != nil {
		return nil, err
	}
	s.reloader = &reloader{
		store: store, from: o.from, getenv: o.getenv, started: p.Config, settings: settings, level: level,
		doors: s.doors, proxy: s.proxy, log: s.log, admin: s.admin, supervisor: s.supervisor, said: map[certs.Problem]bool{},
	}
	s.admin.reloadedBy(s.reloader)
	if s.watcher, err = watch.New(watch.Config{Roots: paths(p.roots), Changed: s.reloader.changed, Warn: s.reloader.warn}); err != nil {
		return nil, err
	}
	s.log.Info("local ca", zap.String("state", p.state), zap.Bool("made_now", made),
		zap.String("fingerprint", authority.Fingerprint()), zap.Time("not_after", authority.Certificate().NotAfter))
	if len(p.others) > 0 {
		s.log.Warn("variables that set nothing", zap.Strings("names", p.others), zap.String("hint", "docs/configuration.md has those that do"))
	}
	s.log.Info("configuration", zap.String("file", o.from.file.path), zap.Bool("found", p.found), zap.Int("hosts", len(p.Hosts)))
	return s, nil
}

// close is for a start that failed.
func (s *parts) close() error {
	errs := []error{s.admin.close()}
	for _, d := range s.doors {
		errs = append(errs, d.Listener.Close())
	}
	if s.gate != nil {
		errs = append(errs, s.gate.lookup.Close())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends and all that is in flight has ended.
func (s *parts) run(ctx context.Context, hangups <-chan os.Signal, listening func(net.Addr)) error {
	defer func() { _ = s.gate.lookup.Close() }()
	s.reloader.began()
	var wait sync.WaitGroup
	running, end := context.WithCancel(ctx)
	watching, endWatching := context.WithCancel(context.WithoutCancel(ctx)) // what is drained can be seen
	wait.Go(func() {
		if err := s.watcher.Run(running); !errors.Is(err, context.Canceled) {
			s.reloader.warn(err)
		}
	})
	wait.Go(func() {
		<-running.Done() // of ctx, too, which comes before
		s.admin.stopping()
	})
	wait.Go(func() { s.reloader.hangups(running, hangups, s.watcher.Rescan) })
	serving := s.announce(listening)
	wait.Go(func() { s.admin.run(watching, s.log, s.doors) })
	// What the start has used and needs no more, most of it for the system's CA roots.
	debug.FreeOSMemory()
	s.supervisor.ready()
	wait.Go(func() { s.supervisor.run(watching) })
	defer context.AfterFunc(ctx, s.supervisor.stop)()
	err := s.proxy.Run(ctx, serving...)
	end()
	endWatching()
	if !endsWithin(&wait, lookFor) {
		s.log.Warn("stopped without waiting for a file system", zap.Duration("waited", lookFor),
			zap.String("hint", "a root, or a file that is read again, is on a mount that does not answer: look at it with df and findmnt"))
	}
	s.log.Info("stopped")
	return err
}

// lookFor is how long whoever looks at files may take to end when all else has.
const lookFor = 2 * time.Second

// endsWithin reports whether all of a group ended in time. A system call on a mount whose
// server has gone cannot be ended, and must not keep the process: its last goroutines go
// with it.
func endsWithin(group *sync.WaitGroup, d time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		group.Wait()
	}()
	select {
	case <-ended:
		return true
	case <-time.After(d):
		return false
	}
}

// announce tells of each listener, and returns the doors.
func (s *parts) announce(listening func(net.Addr)) []proxy.Door {
	serving := make([]proxy.Door, len(s.doors))
	for i, d := range s.doors {
		serving[i] = d.Door
		fields := []zap.Field{zap.String("addr", d.listener.Address())}
		if d.Forward != "" {
			fields = append(fields, zap.String("forward", d.Forward))
		}
		s.log.Info("listening", fields...)
		if listening != nil {
			listening(d.Listener.Addr())
		}
	}
	return serving
}
