package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/systemd"
	"github.com/certproxy/certproxy/watch"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the proxy", Args: noArgs,
		Long: "Run the proxy until SIGTERM or SIGINT. SIGHUP reads the configuration again, and\n" +
			"every host directory, where changes are seen without it. A configuration with a\n" +
			"mistake keeps the proxy from starting; at SIGHUP, the one in use stays.",
		Example: "  certproxy serve --certs ./certs.d --state ./state --listen 127.0.0.1:3128\n" +
			"  HTTPS_PROXY=http://127.0.0.1:3128 curl --cacert ./state/ca.crt https://registry.example/v2/",
	}
	settings := addSettings(cmd)
	settings.groupHelp()
	check := cmd.Flags().Bool("check-config", false, "say whether the configuration is right, and do not serve")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := settings.sources(os.Environ())
		if err != nil {
			return err
		}
		if *check {
			return from.check(cmd.OutOrStdout(), os.Getenv)
		}
		passed, err := systemd.Sockets()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), serveOptions{from: from, passed: passed, getenv: os.Getenv, stderr: cmd.ErrOrStderr()})
	}
	return cmd
}

type serveOptions struct {
	from   sources
	getenv func(string) string // looks up HTTPS_PROXY and the like; nil is an empty environment
	passed []systemd.Socket    // listening sockets of systemd's
	stderr io.Writer           // for the log
	log    *zap.Logger         // in place of one as the configuration wants it, if not nil
	level  zap.AtomicLevel     // what that log obeys

	listening func(net.Addr)      // told of each listener; may be nil
	attempted func(proxy.Attempt) // told of each attempt; may be nil
}

// serve builds the parts, connects them and runs them until ctx ends or a signal
// says so.
func serve(ctx context.Context, o serveOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	// Before anything takes long: a SIGHUP that nobody waits for ends the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	p, err := o.from.plan(nil, o.getenv)
	if err != nil {
		return err
	}
	log, level := o.log, o.level
	if log == nil {
		level = zap.NewAtomicLevel()
		log = newLogger(o.stderr, level, p.LogFormat)
	}
	level.SetLevel(levelOf(p.LogLevel))
	authority, made, err := ca.LoadOrCreate(p.state)
	if err != nil {
		return err
	}
	store := certs.NewStore(p.roots, authority.Owns)
	if err := store.Index().Err(); err != nil {
		return err
	}
	p.warnOfPasswords(log)
	settings := newSettings(p)
	gate := newGate(settings, log)
	defer func() { _ = gate.lookup.Close() }()
	wiring := proxy.Config{
		Index: store, Leaves: authority, RefuseUnlisted: settings.refuseUnlisted, Host: settings.host, Logger: log, Attempted: o.attempted,
		Gate: gate, Disown: access.Disown, UpstreamProxy: p.UpstreamProxy, Getenv: o.getenv,
		HandshakeTimeout: p.HandshakeTimeout, HeaderTimeout: p.HeaderTimeout, IdleTimeout: p.IdleTimeout, DrainTimeout: p.DrainTimeout,
	}
	admin, err := startAdmin(ctx, p, &wiring, store, authority, gate.lookup, log)
	if err != nil {
		return err
	}
	server, err := proxy.New(wiring)
	if err != nil {
		return errors.Join(err, admin.close())
	}
	admin.shows(server)
	doors, err := openDoors(ctx, p, o.passed, log)
	if err != nil {
		return errors.Join(err, admin.close())
	}
	supervisor, err := newSupervisor(store.Index, server.Ping, log)
	if err != nil {
		return errors.Join(err, closeDoors(doors), admin.close())
	}
	r := &reloader{supervisor: supervisor, store: store, from: o.from, getenv: o.getenv, started: p.Config, settings: settings, level: level, doors: doors, proxy: server, log: log, admin: admin, said: map[certs.Problem]bool{}}
	admin.reloadedBy(r)
	watcher, err := watch.New(watch.Config{Roots: paths(p.roots), Changed: r.changed, Warn: r.warn})
	if err != nil {
		return errors.Join(err, closeDoors(doors), admin.close())
	}

	log.Info("local ca", zap.String("state", p.state), zap.Bool("made_now", made),
		zap.String("fingerprint", authority.Fingerprint()), zap.Time("not_after", authority.Certificate().NotAfter))
	log.Info("configuration", zap.String("file", o.from.file.path), zap.Bool("found", p.found), zap.Int("hosts", len(p.Hosts)))
	r.began()
	var wait sync.WaitGroup
	running, end := context.WithCancel(ctx)
	wait.Go(func() {
		if err := watcher.Run(running); !errors.Is(err, context.Canceled) {
			r.warn(err)
		}
	})
	wait.Go(func() {
		<-running.Done() // of ctx, too, which comes before
		admin.stopping()
	})
	wait.Go(func() { r.hangups(running, hangups, watcher.Rescan) })
	serving := make([]proxy.Door, len(doors))
	for i, d := range doors {
		serving[i] = d.Door
		fields := []zap.Field{zap.String("addr", d.listener.Address())}
		if d.Forward != "" {
			fields = append(fields, zap.String("forward", d.Forward))
		}
		log.Info("listening", fields...)
		if o.listening != nil {
			o.listening(d.Listener.Addr())
		}
	}
	watching, endWatching := context.WithCancel(context.WithoutCancel(ctx)) // what is drained can be seen
	wait.Go(func() { admin.run(watching, log, doors) })
	// What the start has used and needs no more, most of it for the system's CA roots.
	debug.FreeOSMemory()
	supervisor.ready()
	wait.Go(func() { supervisor.run(watching) })
	defer context.AfterFunc(ctx, supervisor.stop)()
	err = server.Run(ctx, serving...)
	end()
	endWatching()
	wait.Wait()
	log.Info("stopped")
	return err
}

func paths(roots []certs.Root) []string {
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = r.Path
	}
	return out
}
