package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/internal/trust"
)

func newTrust() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trust", Short: "Have clients trust the local CA, or no more", Args: noArgs,
		Long: "Put the local CA's certificate into the stores from which clients take the CAs they\n" +
			"trust, or take it out again. Nothing else that certproxy does changes them.\n\n" +
			"Whoever has ca.key of the state directory can pose as any server to these clients.\n" +
			"certproxy ca init --permit-dns narrows that; certproxy exec needs no installation.",
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("trust needs install or uninstall")}
		},
	}
	cmd.AddCommand(newTrustInstall(), newTrustUninstall())
	return cmd
}

const storesText = "\n\nStores:\n" +
	"  system  of the distribution, which most programs read; as root\n" +
	"  docker  dockerd's certs.d directory of each listed host; as root, or rootless\n" +
	"  nss     Firefox, Chromium and Chrome of this user\n" +
	"  java    of JAVA_HOME, or of the keytool in PATH; as its owner\n" +
	"  all     those of them that are here"

// trustFlags are what install and uninstall have in common.
type trustFlags struct {
	settings *settingFlags
	stores   *[]string
	dryRun   *bool
}

// look returns where certs.d and the CA are, as serve has it.
func (f trustFlags) look(warn io.Writer) (options, error) {
	from, err := f.settings.sources(os.Environ())
	if err != nil {
		return options{}, err
	}
	return from.look(warn, "certs", "state")
}

func addTrustFlags(cmd *cobra.Command) trustFlags {
	return trustFlags{
		settings: addSettings(cmd, "certs", "state"),
		stores:   cmd.Flags().StringArray("store", []string{"system"}, "system, docker, nss, java or all; repeatable"),
		dryRun:   cmd.Flags().Bool("dry-run", false, "say what would be done, and do nothing"),
	}
}

func newTrustInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use: "install", Short: "Have clients trust the local CA", Args: noArgs,
		Long:    "Put the local CA's certificate into stores. An earlier CA of certproxy's that is there\nis replaced." + storesText,
		Example: "  certproxy trust install --dry-run\n  certproxy trust install --store system --store docker",
	}
	flags := addTrustFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := flags.look(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		dir, err := stateDir(o.State)
		if err != nil {
			return err
		}
		authority, err := ca.LoadCertificate(dir)
		if err != nil {
			return err
		}
		t := &trustRun{out: cmd.OutOrStdout(), dryRun: *flags.dryRun, command: "install", state: dir, nothing: "has it already"}
		return t.run(cmd.Context(), flags, o, func(s trust.Store) ([]trust.Step, error) { return s.Install(cmd.Context(), authority) })
	}
	return cmd
}

func newTrustUninstall() *cobra.Command {
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Take what install has put there out again", Args: noArgs,
		Long: "Take every CA out of stores that certproxy trust install has put there, by its\nfingerprint. The state directory need not exist any more." + storesText,
	}
	flags := addTrustFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := flags.look(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		t := &trustRun{out: cmd.OutOrStdout(), dryRun: *flags.dryRun, command: "uninstall", nothing: "has none of certproxy's"}
		return t.run(cmd.Context(), flags, o, func(s trust.Store) ([]trust.Step, error) { return s.Uninstall(cmd.Context()) })
	}
	return cmd
}

// stores returns the stores named by --store, and whether all were asked for.
func (f trustFlags) named(o options) (stores []trust.Store, all bool, err error) {
	known := []string{"system", "docker", "nss", "java"}
	names := slices.Clone(*f.stores)
	if slices.Contains(names, "all") {
		names, all = known, true
	}
	for _, name := range slices.Compact(names) {
		var store trust.Store
		switch name {
		case "system":
			store = trust.NewSystem()
		case "docker":
			store, err = dockerStore(o.Certs, o.State)
		case "nss":
			var home string
			if home, err = os.UserHomeDir(); err != nil {
				err = errors.New("HOME is not set, so there is no place to look for browsers; set it")
			}
			store = trust.NewNSS(home)
		case "java":
			store = trust.NewJava(os.Getenv)
		default:
			err = usageError{fmt.Errorf("--store %q is none of %s, all", name, strings.Join(known, ", "))}
		}
		if err != nil {
			return nil, false, err
		}
		stores = append(stores, store)
	}
	return stores, all, nil
}

// dockerStore is the certs.d of the daemon that this user runs.
func dockerStore(named []string, state string) (trust.Store, error) {
	roots, err := roots(named)
	if err != nil {
		return nil, err
	}
	store := &trust.Docker{Root: "/etc/docker/certs.d"}
	if home := os.Getenv("HOME"); os.Geteuid() != 0 && filepath.IsAbs(home) {
		store.Root = filepath.Join(home, ".config/docker/certs.d") // of a rootless one
	}
	for _, h := range certs.NewStore(roots, ownCA(state)).Index().Hosts() {
		if h.Action == certs.Intercept {
			store.Hosts = append(store.Hosts, trust.Host{Name: h.Name, Dir: h.Dir})
		}
	}
	return store, nil
}

// A trustRun is one install or uninstall.
type trustRun struct {
	out            io.Writer
	dryRun         bool
	command, state string
	nothing        string // what is said of a store where there is nothing to do
}

// run changes each store, and goes on to the next after a failure.
func (t *trustRun) run(ctx context.Context, flags trustFlags, o options, plan func(trust.Store) ([]trust.Step, error)) error {
	stores, all, err := flags.named(o)
	if err != nil {
		return err
	}
	var errs []error
	for _, store := range stores {
		steps, err := plan(store)
		var absent *trust.Absent
		switch {
		case errors.As(err, &absent) && all:
			t.say("%s: not here: %s", store.Name(), absent)
		case err != nil:
			errs = append(errs, t.explain(store, err))
		case len(steps) == 0:
			t.say("%s: %s", store.Name(), t.nothing)
		default:
			errs = append(errs, t.do(ctx, store, steps))
		}
	}
	return errors.Join(errs...)
}

func (t *trustRun) do(ctx context.Context, store trust.Store, steps []trust.Step) error {
	for _, step := range steps {
		if t.dryRun {
			t.say("%s: would %s", store.Name(), step.Would)
			continue
		}
		if err := step.Run(ctx); err != nil {
			return t.explain(store, err)
		}
		t.say("%s: %s", store.Name(), step.Did)
	}
	return nil
}

func (t *trustRun) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format+"\n", args...)
}

// explain adds what to do about a store that only root, or its owner, can change.
func (t *trustRun) explain(store trust.Store, err error) error {
	err = fmt.Errorf("%s: %w", store.Name(), err)
	if os.Geteuid() == 0 || !errors.Is(err, fs.ErrPermission) && store.Name() != "java" {
		return err
	}
	again := "sudo certproxy trust " + t.command + " --store " + store.Name()
	if t.state != "" {
		again += " --state " + shell.Quote(t.state)
	}
	return fmt.Errorf("%w; run it as the store's owner: %s", err, again)
}
