package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/child"
	"github.com/certproxy/certproxy/internal/environment"
	"github.com/certproxy/certproxy/internal/scratch"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/watch"
)

// exitOwnFailure is the exit status of exec when certproxy itself failed, so that it
// is not taken for one of the command's: as env(1) and timeout(1) have it.
const exitOwnFailure = 125

// An exitStatus ends certproxy with the status of a command. What there was to say was
// said.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func newExec() *cobra.Command {
	cmd := &cobra.Command{
		Use: "exec [flags] [--] CMD [ARG...]", Short: "Run one command through a private proxy; nothing is installed",
		Long: "Run one command through a proxy of its own, which only this user can use, with a\n" +
			"CA that lives in memory and that the command's environment tells it to trust. When\n" +
			"the command has ended, nothing is left of either.\n\n" +
			"Signals, the terminal and the exit status are the command's; 125 is a failure of\n" +
			"certproxy itself, 126 and 127 are a command that cannot be run or found. When the\n" +
			"command fails after certproxy refused something, one line says what and why.",
		Example: "  certproxy exec -- git clone https://git.corp.example/team/project.git\n" +
			"  certproxy exec curl https://registry.example:5000/v2/\n" +
			"  certproxy exec bash                    # a shell in which all of that works",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("exec needs a command to run, as in: certproxy exec -- curl https://registry.example/v2/")}
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the command is the command's
	settings := addSettings(cmd, "certs", "upstream_proxy")
	level := cmd.Flags().String("log-level", "warn", "debug, info, warn or error; by default refusals are kept for the line at the end")
	format := cmd.Flags().String("log-format", "console", "json, console, or auto: console on a terminal")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := privateOptions{refusals: &refusals{quiet: !cmd.Flags().Changed("log-level")}}
		log, err := namedLogger(cmd.ErrOrStderr(), *level, *format)
		if err != nil {
			return err
		}
		o.log = log.WithOptions(zap.WrapCore(o.refusals.core))
		from, err := settings.sources(os.Environ())
		if err != nil {
			return err
		}
		// Of the file, what is said about hosts is of use, too; so it is always read.
		o.options, err = from.look(cmd.ErrOrStderr(), "hosts")
		switch {
		case errors.As(err, new(usageError)):
			return err
		case err != nil:
			say(cmd.ErrOrStderr(), err)
			return exitStatus(exitOwnFailure)
		}
		if o.roots, err = roots(o.Certs); err != nil {
			return err
		}
		return run1(cmd, args, o)
	}
	return cmd
}

// run1 runs one command through a private proxy, and returns the command's status as an
// [exitStatus] unless it is 0.
func run1(cmd *cobra.Command, args []string, o privateOptions) error {
	stderr := cmd.ErrOrStderr()
	fail := func(status int, err error) error {
		say(stderr, err)
		return exitStatus(status)
	}
	path, err := child.Find(args[0])
	if err != nil {
		return fail(startStatus(err), err)
	}
	private, err := startPrivateProxy(cmd.Context(), o)
	if err != nil {
		if errors.As(err, &usageError{}) {
			return err
		}
		return fail(exitOwnFailure, err)
	}
	command := &exec.Cmd{Path: path, Args: args, Stdin: cmd.InOrStdin(), Stdout: cmd.OutOrStdout(), Stderr: stderr}
	status, err := private.run(cmd.Context(), command)
	err = errors.Join(err, private.stop())
	switch {
	case err != nil && status == 0:
		return fail(startStatus(err), err)
	case err != nil: // the command has ended: its status tells more
		say(stderr, err)
	}
	if status == 0 {
		return nil
	}
	if why := o.refusals.summary(); why != "" {
		say(stderr, errors.New(why))
	}
	return exitStatus(status)
}

func startStatus(err error) int {
	var start *child.Error
	if errors.As(err, &start) {
		return start.Status
	}
	return exitOwnFailure
}

func say(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "certproxy: %s\n", strings.ReplaceAll(err.Error(), "\n", "\ncertproxy: "))
}

// newExecGuardian is the process that removes a killed exec's files.
func newExecGuardian() *cobra.Command {
	return &cobra.Command{
		Use: guardianName + " DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return scratch.Guard(cmd.InOrStdin(), args[0]) },
	}
}

const guardianName = "exec-guardian"

// guardian is the command of [newExecGuardian].
func guardian(dir string) *exec.Cmd {
	self, err := os.Executable()
	if err == nil {
		_, err = os.Stat(self)
	}
	if err != nil {
		self = "/proc/self/exe" // its file was replaced or removed meanwhile
	}
	return &exec.Cmd{Path: self, Args: []string{"certproxy", guardianName, dir}, Env: []string{}, Dir: "/"}
}

type privateOptions struct {
	options
	roots    []certs.Root
	log      *zap.Logger
	refusals *refusals
}

// A privateProxy serves this user alone, on a port that nobody was told of.
type privateProxy struct {
	addr      string
	authority *ca.CA
	hosts     []string // that are listed now
	stop      func() error
	log       *zap.Logger
}

// startPrivateProxy builds the parts of a proxy that needs no state, and runs them
// until stop is called.
func startPrivateProxy(ctx context.Context, o privateOptions) (*privateProxy, error) {
	authority, err := ca.Ephemeral()
	if err != nil {
		return nil, err
	}
	// The CA of a service may be in a host directory, for dockerd. Trusting that one for a
	// server would be as wrong.
	ofService := ownCA("")
	store := certs.NewStore(o.roots, func(c *x509.Certificate) bool {
		return authority.Owns(c) || ofService != nil && ofService(c)
	})
	if err := store.Index().Err(); err != nil {
		return nil, err
	}
	hosts := names(store.Index().Hosts())
	if len(hosts) == 0 {
		o.log.Warn("no host is listed, so the command has no client certificate", zap.Strings("roots", paths(o.roots)),
			zap.String("hint", "make a directory for one there, or name another root with --certs; certproxy list shows what is found"))
	}
	gate, err := newOwnGate()
	if err != nil {
		return nil, err
	}
	settings := newSettings(&plan{options: o.options})
	server, err := proxy.New(proxy.Config{
		Index: store, Leaves: authority, Host: settings.host, Logger: o.log, Attempted: o.refusals.attempted,
		Gate: gate, Disown: access.Disown, UpstreamProxy: o.UpstreamProxy, Getenv: os.Getenv, DrainTimeout: drainPrivate,
	})
	if err != nil {
		return nil, errors.Join(err, gate.close())
	}
	changed := func(c watch.Change) {
		dirs := c.Dirs
		if c.All {
			dirs = nil
		}
		if !store.Reload(dirs).Empty() {
			server.Reloaded()
		}
	}
	warn := func(err error) { o.log.Warn("watching is degraded", zap.Error(err)) }
	watcher, err := watch.New(watch.Config{Roots: paths(o.roots), Changed: changed, Warn: warn})
	if err != nil {
		return nil, errors.Join(err, gate.close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on loopback: %w", err), gate.close())
	}

	ctx, end := context.WithCancel(ctx)
	var wait sync.WaitGroup
	var failed error
	wait.Go(func() {
		if err := watcher.Run(ctx); !errors.Is(err, context.Canceled) {
			warn(err)
		}
	})
	wait.Go(func() {
		if failed = server.Run(ctx, proxy.Door{Listener: listener}); failed != nil {
			o.log.Error("the private proxy has stopped", zap.Error(failed))
		}
	})
	stop := func() error {
		end()
		wait.Wait()
		return errors.Join(failed, gate.close())
	}
	return &privateProxy{addr: listener.Addr().String(), authority: authority, hosts: hosts, stop: stop, log: o.log}, nil
}

// drainPrivate is how long processes that outlive the command may go on with what is
// in flight.
const drainPrivate = time.Second

// run runs the command with an environment that leads it through the proxy.
func (p *privateProxy) run(ctx context.Context, command *exec.Cmd) (status int, err error) {
	dir, err := scratch.New(guardian)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	variables, err := p.variables(dir.Path, os.LookupEnv)
	if err != nil {
		return 0, err
	}
	command.Env = environment.Merge(os.Environ(), variables)
	return child.Run(ctx, command)
}

// variables returns what the command's environment says otherwise than ours. The files
// that it names are written into dir.
func (p *privateProxy) variables(dir string, lookup func(string) (string, bool)) ([]environment.Variable, error) {
	getenv := func(name string) string { value, _ := lookup(name); return value }
	trust, err := environment.WriteTrust(dir, p.authority.Certificate(), getenv)
	if err != nil {
		return nil, err
	}
	java, err := environment.WriteJava(dir, p.addr, p.authority.Certificate(), p.hosts, getenv)
	if err != nil {
		return nil, err
	}
	url := "http://" + p.addr
	out := append(environment.Proxy(url), environment.Git(url, getenv)...)
	out = append(append(out, trust...), java)
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		value, set := lookup(name)
		kept, dropped := environment.KeepProxied(value, p.hosts)
		if set && len(dropped) > 0 {
			p.log.Info("listed hosts do not bypass the private proxy", zap.String("variable", name), zap.Strings("left_out", dropped))
			out = append(out, environment.Variable{Name: name, Value: kept})
		}
	}
	return out, nil
}
