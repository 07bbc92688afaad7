package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/certs"
)

// addCertsFlag adds --certs.
func addCertsFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("certs", nil, "directory that holds host directories; repeatable, the first with one for a host wins")
}

// roots returns the roots named by --certs, or the default ones.
func roots(named []string) ([]certs.Root, error) {
	if len(named) == 0 {
		named = certs.DefaultRoots(os.Geteuid(), os.Getenv)
	}
	out := make([]certs.Root, len(named))
	for i, dir := range named {
		if dir == "" {
			return nil, usageError{errors.New("--certs is empty; name a directory")}
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		out[i] = certs.Dir(abs)
	}
	return out, nil
}

// addStateFlag adds --state.
func addStateFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("state", "", "directory of the local CA (default "+defaultStateText+")")
}

const defaultStateText = "/var/lib/certproxy, for other users $XDG_STATE_HOME/certproxy"

// stateDir returns the directory named by --state, or the default one.
func stateDir(named string) (string, error) {
	switch home := os.Getenv("HOME"); {
	case named != "":
		return filepath.Abs(named)
	case os.Getenv("STATE_DIRECTORY") != "": // set by systemd for StateDirectory=
		return os.Getenv("STATE_DIRECTORY"), nil
	case os.Geteuid() == 0:
		return "/var/lib/certproxy", nil
	case filepath.IsAbs(os.Getenv("XDG_STATE_HOME")):
		return filepath.Join(os.Getenv("XDG_STATE_HOME"), "certproxy"), nil
	case filepath.IsAbs(home):
		return filepath.Join(home, ".local/state/certproxy"), nil
	}
	return "", usageError{errors.New("HOME is not set, so there is no default state directory; name one with --state")}
}
