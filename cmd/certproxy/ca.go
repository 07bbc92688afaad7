package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/ca"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{Use: "ca", Short: "Make or show the local CA", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		return usageError{fmt.Errorf("ca needs init or show")}
	}}
	cmd.AddCommand(newCAInit(), newCAShow())
	return cmd
}

func newCAInit() *cobra.Command {
	cmd := &cobra.Command{
		Use: "init", Short: "Make the local CA", Args: noArgs,
		Long: "Make the local CA now, instead of at the first start of serve. With --permit-dns\n" +
			"it can sign for those domains only, so that a stolen key is worth no more than\n" +
			"that; listed hosts outside are then refused.",
		Example: "  certproxy ca init --permit-dns corp.example",
	}
	settings := addSettings(cmd, "state")
	permit := cmd.Flags().StringArray("permit-dns", nil, "a domain (and all below it) that the CA may sign for; repeatable")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := settings.stateDir()
		if err != nil {
			return err
		}
		authority, err := ca.Create(dir, ca.Options{PermitDNS: *permit})
		if err != nil {
			return err
		}
		return describeCA(cmd.OutOrStdout(), dir, authority)
	}
	return cmd
}

func newCAShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show the local CA's certificate", Args: noArgs}
	settings := addSettings(cmd, "state")
	asPEM := cmd.Flags().Bool("pem", false, "print the certificate itself")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := settings.stateDir()
		if err != nil {
			return err
		}
		authority, err := ca.Load(dir)
		if err != nil {
			return err
		}
		if *asPEM {
			return pem.Encode(cmd.OutOrStdout(), &pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
		}
		return describeCA(cmd.OutOrStdout(), dir, authority)
	}
	return cmd
}

// stateDir returns the directory of the local CA, as serve would find it.
func (f *settingFlags) stateDir() (string, error) {
	from, err := f.sources(os.Environ())
	if err != nil {
		return "", err
	}
	o, err := from.look(f.cmd.ErrOrStderr(), "state")
	if err != nil {
		return "", err
	}
	return stateDir(o.State)
}

func describeCA(w io.Writer, dir string, authority *ca.CA) error {
	c := authority.Certificate()
	constraints := "none: it can sign for every host"
	if list := authority.Constraints(); len(list) > 0 {
		constraints = strings.Join(list, ", ")
	}
	_, err := fmt.Fprintf(w, "certificate  %s\nsubject      %s\nfingerprint  %s (SHA-256)\nvalid        %s to %s\nconstraints  %s\n",
		filepath.Join(dir, ca.CertFile), c.Subject, authority.Fingerprint(),
		c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"), constraints)
	return err
}
