package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/config"
)

const defaultConfig = "/etc/certproxy/config.yaml"

// A configFile is where the configuration is read from. The zero value is no file:
// all is by default.
type configFile struct {
	path     string
	optional bool // it need not be there: all is by default then
}

// addConfigFlag adds --config.
func addConfigFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("config", defaultConfig, "configuration file; one that is named must exist")
}

// configNamed returns the file named by --config, or the default one.
func configNamed(cmd *cobra.Command, path string) (configFile, error) {
	if path == "" {
		return configFile{}, usageError{errors.New("--config is empty; name a file")}
	}
	return configFile{path: path, optional: !cmd.Flags().Changed("config")}, nil
}

// read returns what the file says, and whether it is there. The error has a line for
// each mistake.
func (f configFile) read() (c *config.Config, found bool, err error) {
	if f.path == "" {
		byDefault := config.Default()
		return &byDefault, false, nil
	}
	// What comes out of a pipe comes once: at a SIGHUP the proxy would wait for more,
	// and not even stop.
	if info, err := os.Stat(f.path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, false, fmt.Errorf("%s: a pipe cannot be read again when the configuration is reloaded; name a file", f.path)
	}
	c, err = config.Load(f.path)
	switch {
	case err == nil:
		return c, true, nil
	case errors.Is(err, fs.ErrNotExist) && f.optional:
		byDefault := config.Default()
		return &byDefault, false, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("%w; make it, or name one that is there with --config", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, false, fmt.Errorf("%w; make it readable for uid %d, as which certproxy runs", err, os.Geteuid())
	}
	return nil, false, err
}

// check says whether the proxy would start with the file.
func (f configFile) check(w io.Writer) error {
	_, found, err := f.read()
	if err != nil {
		return err
	}
	note := ""
	if !found {
		note = " (not there, so all is by default)"
	}
	_, err = fmt.Fprintf(w, "%s: ok%s\n", f.path, note)
	return err
}
