package main

import (
	"context"
	"errors"
	"fmt"
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
	named, state, file := addCertsFlag(cmd), addStateFlag(cmd), addConfigFlag(cmd)
	check := cmd.Flags().Bool("check-config", false, "say whether the configuration is right, and do not serve")
	listen := cmd.Flags().StringArray("listen", []string{"127.0.0.1:3128"}, "loopback HOST:PORT to serve on; repeatable, port 0 picks one")
	unlisted := cmd.Flags().String("unlisted", "tunnel", "what to do with hosts that have no directory: tunnel or refuse")
	admin := cmd.Flags().String("admin", "off", "status listener; this version has none, so only off")
	users := cmd.Flags().StringArray("allow-user", nil, "user, by name or uid, who may use the certificates of listed hosts, or * for every local one; repeatable. By default root, and whom certproxy runs as")
	groups := cmd.Flags().StringArray("allow-group", nil, "group, by name or gid, likewise; repeatable")
	passwords := cmd.Flags().String("htpasswd", "", "file of `htpasswd -B`: whoever knows a password in it may, too, unless --allow-user or --allow-group is given")
	upstream := cmd.Flags().String("upstream-proxy", "", "URL of the proxy through which hosts are reached, or direct; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY say so")
	forward := cmd.Flags().StringArray("forward", nil, "loopback ADDR=HOST[:PORT]: serve plain HTTP on ADDR, as that listed host; repeatable")
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	format := cmd.Flags().String("log-format", "auto", "json, console, or auto: console on a terminal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *unlisted != "tunnel" && *unlisted != "refuse" {
			return usageError{fmt.Errorf("--unlisted %q is neither tunnel nor refuse", *unlisted)}
		}
		if *admin != "off" {
			return usageError{fmt.Errorf("--admin %q: this version has no status listener; use off", *admin)}
		}
		o := serveOptions{listen: *listen, refuseUnlisted: *unlisted == "refuse", passwords: *passwords, upstream: *upstream,
			allow: access.Lists{Users: *users, Groups: *groups}, getenv: os.Getenv}
		for _, spec := range *forward {
			f, err := parseForward(spec)
			if err != nil {
				return err
			}
			o.forward = append(o.forward, f)
		}
		for _, addr := range o.listen {
			if _, err := loopback("--listen", addr); err != nil {
				return err
			}
		}
		var err error
		if o.log, err = newLogger(cmd.ErrOrStderr(), *level, *format); err != nil {
			return err
		}
		if o.roots, err = roots(*named); err != nil {
			return err
		}
		if o.state, err = stateDir(*state); err != nil {
			return err
		}
		if o.config, err = configNamed(cmd, *file); err != nil {
			return err
		}
		if *check {
			return o.config.check(cmd.OutOrStdout())
		}
		return serve(cmd.Context(), o)
	}
	return cmd
}

type serveOptions struct {
	roots          []certs.Root
	state          string     // directory of the local CA
	config         configFile // the zero value: all is by default
	listen         []string
	forward        []forward
	refuseUnlisted bool
	allow          access.Lists        // who may use the identities; none are the defaults
	passwords      string              // an htpasswd file, or empty
	upstream       string              // URL of a proxy, direct, or empty for the environment's
	getenv         func(string) string // that environment; nil is an empty one
	log            *zap.Logger

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
	configuration, found, err := o.config.read()
	if err != nil {
		return err
	}
	authority, made, err := ca.LoadOrCreate(o.state)
	if err != nil {
		return err
	}
	store := certs.NewStore(o.roots, authority.Owns)
	if err := store.Index().Err(); err != nil {
		return err
	}
	gate, err := newGate(o)
	if err != nil {
		return err
	}
	defer func() { _ = gate.lookup.Close() }()
	settings := newSettings(configuration)
	server, err := proxy.New(proxy.Config{
		Index: store, Leaves: authority, RefuseUnlisted: func() bool { return o.refuseUnlisted }, Host: settings.host, Logger: o.log, Attempted: o.attempted,
		Gate: gate, UpstreamProxy: o.upstream, Getenv: o.getenv,
	})
	if err != nil {
		return err
	}
	doors, err := openDoors(o)
	if err != nil {
		return err
	}
	r := &reloader{store: store, config: o.config, settings: settings, proxy: server, log: o.log, said: map[certs.Problem]bool{}}
	watcher, err := watch.New(watch.Config{Roots: paths(o.roots), Changed: r.changed, Warn: r.warn})
	if err != nil {
		return errors.Join(err, closeAll(doors))
	}

	o.log.Info("local ca", zap.String("state", o.state), zap.Bool("made_now", made),
		zap.String("fingerprint", authority.Fingerprint()), zap.Time("not_after", authority.Certificate().NotAfter))
	o.log.Info("configuration", zap.String("file", o.config.path), zap.Bool("found", found), zap.Int("hosts", len(configuration.Hosts)))
	r.began()
	var wait sync.WaitGroup
	running, end := context.WithCancel(ctx)
	wait.Go(func() {
		if err := watcher.Run(running); !errors.Is(err, context.Canceled) {
			r.warn(err)
		}
	})
	wait.Go(func() { r.hangups(running, hangups, watcher.Rescan) })
	for _, d := range doors {
		fields := []zap.Field{zap.String("addr", d.Listener.Addr().String())}
		if d.Forward != "" {
			fields = append(fields, zap.String("forward", d.Forward))
		}
		o.log.Info("listening", fields...)
		if o.listening != nil {
			o.listening(d.Listener.Addr())
		}
	}
	// What the start has used and needs no more, most of it for the system's CA roots.
	debug.FreeOSMemory()
	err = server.Run(ctx, doors...)
	end()
	wait.Wait()
	o.log.Info("stopped")
	return err
}

func paths(roots []certs.Root) []string {
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = r.Path
	}
	return out
}
