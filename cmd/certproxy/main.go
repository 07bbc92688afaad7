// Command certproxy is a local forward proxy that presents client certificates.
//
// This package holds flags, help, signals and exit codes; it builds the parts
// (certs, watch, proxy, the local CA) and connects them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set when a release is built.
var version = ""

const usage = `certproxy is a local forward proxy that presents client certificates: for the
hosts that have a directory under certs.d it tries each pair in alphabetical
order until one is accepted. Every other host is tunnelled untouched.

Usage:
    certproxy serve [--listen ADDR]... [--certs DIR]... [--state DIR] [--config FILE]
    certproxy serve --check-config [--config FILE]
    certproxy check [HOST[:PORT][/PATH]] [--json] [--timeout 10s] [--certs DIR]...
    certproxy exec [--certs DIR]... [--] CMD [ARG...]
    certproxy env [--format sh|fish|docker|systemd|json] [--listen ADDR] [--state DIR]
    certproxy trust install|uninstall [--store system|docker|nss|java|all]... [--dry-run]
    certproxy list [--json] [--certs DIR]... [--config FILE]
    certproxy status [--json] [--admin ADDR]
    certproxy reload [--admin ADDR]
    certproxy ca init [--permit-dns DOMAIN]... [--state DIR]
    certproxy ca show [--pem] [--state DIR]
    certproxy demo
    certproxy completion bash|zsh|fish|powershell
    certproxy version

    --listen ADDR   HOST:PORT, port 0 picks one; or unix:PATH, systemd:NAME, and any of
                    these after tls:. (default 127.0.0.1:3128)
    --certs DIR     A directory that holds host directories; the first that has one
                    for a host wins. (default /etc/certproxy/certs.d,
                    /etc/docker/certs.d, /etc/containers/certs.d, after those of
                    a user who is not root; see certproxy list)
    --state DIR     Where the local CA is kept. (default /var/lib/certproxy, for
                    other users $XDG_STATE_HOME/certproxy)
    --admin ADDR    Status page, metrics and health: unix:PATH, HOST:PORT on loopback, or
                    off. (default unix:/run/certproxy/admin.sock, for other users
                    unix:$XDG_RUNTIME_DIR/certproxy/admin.sock)
    --config FILE   Settings of all hosts and of single ones; SIGHUP reads it again.
                    (default /etc/certproxy/config.yaml, which need not exist)
    --check-config  Say what is wrong with the configuration, and do not serve.

Flags override variables (CERTPROXY_LISTEN and the like), and those the file.

Example:
    $ certproxy serve &
    $ curl --proxy http://127.0.0.1:3128 --cacert /var/lib/certproxy/ca.crt https://registry.example/v2/

When something does not work, certproxy check says why, and what to do.
"certproxy COMMAND --help" shows every flag of a command.
Exit status: 0 fine, 1 failed, 2 usage.
`

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// A usageError is a mistake in the command line.
type usageError struct{ error }

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var mistake usageError
	var ended exitStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ended):
		return int(ended)
	case errors.As(err, &mistake):
		_, _ = fmt.Fprintf(stderr, "certproxy: %s\nTry \"certproxy --help\".\n", lines(err))
		return exitUsage
	default:
		_, _ = fmt.Fprintf(stderr, "certproxy: %s\n", lines(err))
		return exitFailed
	}
}

// lines shows an error: each mistake of a configuration is a line, and in a journal an entry.
func lines(err error) string { return strings.ReplaceAll(err.Error(), "\n", "\ncertproxy: ") }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "certproxy",
		Short:         "A local forward proxy that presents client certificates",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("no command given")}
		},
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			_, _ = io.WriteString(cmd.OutOrStdout(), usage)
			return
		}
		help(cmd, args)
	})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newExec(), newExecGuardian(), newList(), newStatus(), newReload(), newCA(), newEnv(), newTrust(), newCheck(), newService(), newDemo(), newVersion())
	return root
}

// noArgs refuses arguments as a mistake in the command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, and got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "certproxy", buildVersion())
			return err
		},
	}
}

// buildVersion is the release's version, else what the Go command recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
