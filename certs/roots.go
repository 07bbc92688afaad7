package certs

import (
	"io/fs"
	"path/filepath"
)

// A Root is a directory that holds host directories. It need not exist yet.
type Root struct {
	Path   string // absolute; shown to people
	FS     fs.FS  // its contents
	Parent fs.FS  // the directory it lies in, to find misspelt neighbours; nil looks for none
}

// Dir returns the root at a path of this machine.
func Dir(path string) Root {
	return Root{Path: path, FS: dirFS(path), Parent: dirFS(filepath.Dir(path))}
}

// stat describes the root itself, seen from the directory it lies in: a directory
// that cannot be entered cannot be asked about itself. nil where nothing is known.
func (r Root) stat() fs.FileInfo {
	if r.Parent == nil {
		return nil
	}
	info, err := fs.Stat(r.Parent, filepath.Base(r.Path))
	if err != nil {
		return nil
	}
	return info
}

// DefaultRoots returns the roots to read when none are named, most important
// first: those of the user unless it is root, then those of the machine.
func DefaultRoots(uid int, getenv func(string) string) []string {
	var roots []string
	if uid != 0 {
		home := getenv("HOME")
		config := getenv("XDG_CONFIG_HOME")
		if config == "" && home != "" {
			config = filepath.Join(home, ".config")
		}
		if filepath.IsAbs(config) {
			roots = append(roots, filepath.Join(config, "certproxy/certs.d"))
		}
		if filepath.IsAbs(home) {
			roots = append(roots,
				filepath.Join(home, ".config/docker/certs.d"),
				filepath.Join(home, ".config/containers/certs.d"))
		}
	}
	return append(roots, "/etc/certproxy/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d")
}
