package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/certs"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Show hosts, pairs in order, expiry and problems", Args: noArgs,
		Long: "Show the index: every host with its source directory, CA roots and pairs in the\n" +
			"order they are tried, and every problem with what to do about it.\n" +
			"The roots are those of the flags, the variables and the configuration file, as serve\n" +
			"has them. It exits 1 when there is a problem that keeps something from being used.",
	}
	settings := addSettings(cmd, "certs", "state")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := settings.sources(os.Environ())
		if err != nil {
			return err
		}
		o, err := from.look(cmd.ErrOrStderr(), "certs", "state")
		if err != nil {
			return err
		}
		roots, err := roots(o.Certs)
		if err != nil {
			return err
		}
		all := newOverview(certs.NewStore(roots, ownCA(o.State)).Index(), roots, time.Now())
		if *asJSON {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			err = enc.Encode(all)
		} else {
			err = all.print(cmd.OutOrStdout())
		}
		if n := all.unusable(); err == nil && n > 0 {
			err = fmt.Errorf("problems that keep something from being used: %d; each has its cure above", n)
		}
		return err
	}
	return cmd
}
