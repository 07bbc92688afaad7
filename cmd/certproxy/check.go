package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/certproxy/certproxy/internal/check"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/proxy"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check [HOST[:PORT][/PATH]]", Short: "Say what is wrong, and try every pair against the real host",
		Long: "Say what is wrong and what to do, the most likely cause first.\n\n" +
			"Without a host: every host directory, the local CA and who trusts it, whether a\n" +
			"proxy is running and this shell uses it, and the limits of the system.\n\n" +
			"With one: which directory is used and which were looked at, what the server shows\n" +
			"and asks for, what comes of each pair, which one is used, and the answer. The\n" +
			"path is /v2/ unless one is named; the name of an image, as docker pull has it, is\n" +
			"asked for by its manifest. Nothing but GET is sent, and nothing is changed.\n\n" +
			"It exits 1 when there is an error; warnings and notes are none.",
		Example: "  certproxy check\n" +
			"  certproxy check registry.example:5000\n" +
			"  certproxy check registry.example:5000/team/app:1.2",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one host, and got %q too", cmd.CommandPath(), args[1])}
			}
			return nil
		},
	}
	settings := addSettings(cmd, "listen", "certs", "state", "upstream_proxy")
	timeout := cmd.Flags().Duration("timeout", 10*time.Second, "how long each step may take")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := check.Options{Again: again(cmd, args), Timeout: *timeout}
		if *timeout <= 0 {
			return usageError{fmt.Errorf("--timeout %v is not longer than nothing; use 10s", *timeout)}
		}
		var err error
		if len(args) > 0 {
			if o.Target, err = check.ParseTarget(args[0]); err != nil {
				return usageError{err}
			}
		}
		from, err := settings.sources(os.Environ())
		if err != nil {
			return err
		}
		// hosts has no flag, so the file is always asked.
		said, err := from.look(cmd.ErrOrStderr(), "listen", "certs", "state", "upstream_proxy", "hosts")
		if err != nil {
			return err
		}
		if o.Roots, err = roots(said.Certs); err != nil {
			return err
		}
		if o.State, err = stateDir(said.State); err != nil {
			return err
		}
		if o.Listeners, err = reachable(said); err != nil {
			return err
		}
		o.ConfigFile = from.file.path
		o.Proxy = proxy.Config{UpstreamProxy: said.UpstreamProxy, Getenv: os.Getenv, Host: newSettings(&plan{options: said}).host}
		report, err := check.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		return showReport(cmd.OutOrStdout(), report, *asJSON)
	}
	return cmd
}

// reachable returns where clients of this machine reach the listeners. Those that systemd
// passes have no address that anybody here could know, and port 0 is none yet.
func reachable(o options) ([]string, error) {
	var out []string
	for i, text := range o.Listen {
		spec, err := listen.Parse(text)
		if err != nil {
			return nil, refuse(config.Mistakes{o.origins.Of("", "listen", i).Mistake(err.Error())})
		}
		addr := spec.Addr
		switch spec.Kind {
		case listen.Systemd:
			continue
		case listen.Unix:
			addr = "unix:" + addr
		case listen.TCP:
			host, port, err := net.SplitHostPort(addr)
			if err != nil || port == "0" {
				continue
			}
			if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
				addr = net.JoinHostPort("127.0.0.1", port)
				if err == nil && ip.Is6() {
					addr = net.JoinHostPort("::1", port)
				}
			}
		}
		if spec.TLS {
			addr = "tls:" + addr
		}
		out = append(out, addr)
	}
	return out, nil
}

// again is the command line as it was given, for a shell.
func again(cmd *cobra.Command, args []string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "upstream-proxy" {
			return // it may hold a password
		}
		values := []string{f.Value.String()}
		if setting, ok := f.Value.(*settingFlag); ok { // whose String is the default
			values = setting.values
		}
		for _, v := range values {
			words = append(words, "--"+f.Name+"="+shell.Quote(v))
		}
	})
	for _, arg := range args {
		words = append(words, shell.Quote(arg))
	}
	return strings.Join(words, " ")
}

// errChecked makes the exit code 1: what is wrong is printed already.
var errChecked = errors.New("something is wrong; what to do is above")

func showReport(w io.Writer, report *check.Report, asJSON bool) error {
	var err error
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(report)
	} else {
		marks := isTerminal(w) && os.Getenv("TERM") != "dumb"
		err = report.Print(w, check.Style{Marks: marks, Colours: marks && os.Getenv("NO_COLOR") == ""}) // https://no-color.org
	}
	if err == nil && !report.OK {
		err = errChecked
	}
	return err
}

// isTerminal reports whether people see at once what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
