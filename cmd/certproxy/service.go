package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/service"
)

func newService() *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "Install certproxy as a service of systemd, where no package does", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		return usageError{errors.New("service needs install or uninstall")}
	}}
	cmd.AddCommand(newServiceInstall(), newServiceUninstall())
	return cmd
}

func newServiceInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use: "install", Short: "Write the units, make their user, and start them", Args: noArgs,
		Long: "Write certproxy.service and certproxy.socket for this very program, make the user\n" +
			"certproxy and /etc/certproxy/certs.d, and start both now and at each start of the\n" +
			"machine. Where a package brought certproxy, enable its units instead.",
	}
	dry := addDryRunFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		if program, err = filepath.EvalSymlinks(program); err != nil {
			return err
		}
		steps, err := service.Machine{}.Install(program)
		if err != nil {
			return err
		}
		return take(cmd.OutOrStdout(), steps, *dry)
	}
	return cmd
}

func newServiceUninstall() *cobra.Command {
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Stop the service and remove its units", Args: noArgs,
		Long: "Stop the service and remove the units that install wrote. The configuration,\n" +
			"certs.d and the CA stay, unless --purge is given.",
	}
	dry := addDryRunFlag(cmd)
	purge := cmd.Flags().Bool("purge", false, "remove /etc/certproxy, /var/lib/certproxy and the user, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		steps, err := service.Machine{}.Uninstall(*purge)
		if err != nil {
			return err
		}
		if len(steps) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing to do: it is not installed")
			return err
		}
		return take(cmd.OutOrStdout(), steps, *dry)
	}
	return cmd
}

func addDryRunFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("dry-run", false, "say what would be done, and do nothing")
}

// take says each step, and does it unless it is a dry run.
func take(w io.Writer, steps []service.Step, dry bool) error {
	if !dry && os.Geteuid() != 0 {
		return errors.New("a service of the machine is root's to install; use sudo, or look at it with --dry-run")
	}
	for _, s := range steps {
		if _, err := fmt.Fprintln(w, s.Text); err != nil {
			return err
		}
		if dry {
			continue
		}
		if err := s.Do(); err != nil {
			return err
		}
	}
	return nil
}
