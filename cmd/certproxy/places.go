package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/certproxy/certproxy/certs"
)

// roots returns the roots that are named, or the default ones.
func roots(named []string) ([]certs.Root, error) {
	if len(named) == 0 {
		named = certs.DefaultRoots(os.Geteuid(), os.Getenv)
	}
	out := make([]certs.Root, len(named))
	for i, dir := range named {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		out[i] = certs.Dir(abs)
	}
	return out, nil
}

// stateDir returns the directory that is named, or the default one.
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
