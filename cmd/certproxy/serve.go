package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/watch"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the proxy", Args: noArgs,
		Long: "Run the proxy until SIGTERM or SIGINT. SIGHUP reads every host directory again;\nchanges are seen without it.",
		Example: "  certproxy serve --certs ./certs.d --state ./state --listen 127.0.0.1:3128\n" +
			"  HTTPS_PROXY=http://127.0.0.1:3128 curl --cacert ./state/ca.crt https://registry.example/v2/",
	}
	named, state := addCertsFlag(cmd), addStateFlag(cmd)
	listen := cmd.Flags().StringArray("listen", []string{"127.0.0.1:3128"}, "loopback HOST:PORT to serve on; repeatable, port 0 picks one")
	unlisted := cmd.Flags().String("unlisted", "tunnel", "what to do with hosts that have no directory: tunnel or refuse")
	admin := cmd.Flags().String("admin", "off", "status listener; this version has none, so only off")
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	format := cmd.Flags().String("log-format", "auto", "json, console, or auto: console on a terminal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *unlisted != "tunnel" && *unlisted != "refuse" {
			return usageError{fmt.Errorf("--unlisted %q is neither tunnel nor refuse", *unlisted)}
		}
		if *admin != "off" {
			return usageError{fmt.Errorf("--admin %q: this version has no status listener; use off", *admin)}
		}
		log, err := newLogger(cmd.ErrOrStderr(), *level, *format)
		if err != nil {
			return err
		}
		roots, err := roots(*named)
		if err != nil {
			return err
		}
		dir, err := stateDir(*state)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), serveOptions{roots: roots, state: dir, listen: *listen, refuseUnlisted: *unlisted == "refuse", log: log})
	}
	return cmd
}

type serveOptions struct {
	roots          []certs.Root
	state          string // directory of the local CA
	listen         []string
	refuseUnlisted bool
	log            *zap.Logger

	listening func(net.Addr)      // told of each listener; may be nil
	attempted func(proxy.Attempt) // told of each attempt; may be nil
}

// serve builds the parts, connects them and runs them until ctx ends or a signal
// says so.
func serve(ctx context.Context, o serveOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	authority, made, err := ca.LoadOrCreate(o.state)
	if err != nil {
		return err
	}
	store := certs.NewStore(o.roots, authority.Owns)
	if err := store.Index().Err(); err != nil {
		return err
	}
	server, err := proxy.New(proxy.Config{Index: store, Leaves: authority, RefuseUnlisted: o.refuseUnlisted, Logger: o.log, Attempted: o.attempted})
	if err != nil {
		return err
	}
	listeners, err := listenAll(o.listen)
	if err != nil {
		return err
	}
	r := &reloader{store: store, proxy: server, log: o.log, said: map[certs.Problem]bool{}}
	watcher, err := watch.New(watch.Config{Roots: paths(o.roots), Changed: r.changed, Warn: r.warn})
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}

	o.log.Info("local ca", zap.String("state", o.state), zap.Bool("made_now", made),
		zap.String("fingerprint", authority.Fingerprint()), zap.Time("not_after", authority.Certificate().NotAfter))
	r.began()
	var wait sync.WaitGroup
	running, end := context.WithCancel(ctx)
	wait.Go(func() {
		if err := watcher.Run(running); !errors.Is(err, context.Canceled) {
			r.warn(err)
		}
	})
	wait.Go(func() { r.hangups(running, watcher.Rescan) })
	for _, l := range listeners {
		o.log.Info("listening", zap.String("addr", l.Addr().String()))
		if o.listening != nil {
			o.listening(l.Addr())
		}
	}
	err = server.Run(ctx, listeners...)
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

// listenAll opens the listeners, or none.
func listenAll(addrs []string) ([]net.Listener, error) {
	var out []net.Listener
	for _, addr := range addrs {
		l, err := listen(addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(out))
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// listen opens one loopback listener. Any other address would lend the host's
// identities to the network, for nothing here authenticates a client.
func listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen %q is not of the form HOST:PORT", addr)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usageError{fmt.Errorf("--listen %s is not a loopback address, and this version cannot authenticate clients; use 127.0.0.1:%s", addr, port)}
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: the port is in use; see by whom (ss -ltnp 'sport = :%s'), or choose another with --listen", addr, port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: permission denied; choose a port above 1023, or grant CAP_NET_BIND_SERVICE", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}
