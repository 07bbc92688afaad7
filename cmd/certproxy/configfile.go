package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/certproxy/certproxy/internal/config"
)

const defaultConfig = "/etc/certproxy/config.yaml"

// A configFile is where the configuration file is. The zero value is no file.
type configFile struct {
	path     string
	optional bool   // it need not be there
	named    string // what names it, for hints
}

// read returns what the file holds, and whether it is there.
func (f configFile) read() (data []byte, found bool, err error) {
	if f.path == "" {
		return nil, false, nil
	}
	// What comes out of a pipe comes once: at a SIGHUP the proxy would wait for more,
	// and not even stop.
	if info, err := os.Stat(f.path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, false, fmt.Errorf("%s: a pipe cannot be read again when the configuration is reloaded; name a file", f.path)
	}
	data, err = config.ReadFile(f.path)
	switch {
	case err == nil:
		return data, true, nil
	case errors.Is(err, fs.ErrNotExist) && f.optional:
		return nil, false, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("%w; make it, or name one that is there with %s", err, f.named)
	case errors.Is(err, fs.ErrPermission):
		return nil, false, fmt.Errorf("%w; make it readable for uid %d, as which certproxy runs", err, os.Geteuid())
	}
	return nil, false, err
}
