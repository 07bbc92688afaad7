package main

import (
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/systemd"
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

// serve builds the parts and runs them until ctx ends or a signal says so.
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
	s, err := build(ctx, o, p)
	if err != nil {
		return err
	}
	return s.run(ctx, hangups, o.listening)
}

func paths(roots []certs.Root) []string {
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = r.Path
	}
	return out
}
