package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Docker is dockerd's certs.d. The daemon trusts the *.crt of a registry's directory
// in addition to the system's CAs, and looks there at each pull: it need not be started
// again, as it must be for the system's store. certproxy passes its own CA over there.
//
// Podman, skopeo and buildah read the directory too, where /etc/containers/certs.d has
// none for the registry.
type Docker struct {
	Root  string // "/etc/docker/certs.d"
	Hosts []Host // the registries
}

// A Host is a registry that is reached through certproxy.
type Host struct {
	Name string // canonical name:port
	Dir  string // its host directory, in whatever root
}

// Name implements Store.
func (d *Docker) Name() string { return "docker" }

// directory is where dockerd looks for a host: it spells the name as images do.
func (d *Docker) directory(h Host) string {
	if filepath.Dir(h.Dir) == d.Root && !strings.HasSuffix(h.Dir, "_") {
		return h.Dir
	}
	return filepath.Join(d.Root, strings.TrimSuffix(h.Name, ":443"))
}

// Install implements Store.
func (d *Docker) Install(_ context.Context, ca *x509.Certificate) ([]Step, error) {
	if len(d.Hosts) == 0 {
		return nil, &Absent{"no host is listed, so there is no registry to trust the CA for; certproxy list shows what is found"}
	}
	wanted := map[string]bool{}
	for _, h := range d.Hosts {
		wanted[filepath.Join(d.directory(h), Label(ca)+".crt")] = true
	}
	old, err := d.installed()
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, path := range old {
		if !wanted[path] {
			steps = append(steps, d.removeStep(path))
		}
		delete(wanted, path)
	}
	for _, h := range d.Hosts {
		path := filepath.Join(d.directory(h), Label(ca)+".crt")
		if !wanted[path] {
			continue
		}
		delete(wanted, path) // two roots may have the host
		step := writeStep(path, ca)
		write := step.Run
		step.Run = func(ctx context.Context) error {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return fmt.Errorf("cannot make %s: %w", filepath.Dir(path), cause(err))
			}
			return write(ctx)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// Uninstall implements Store.
func (d *Docker) Uninstall(context.Context) ([]Step, error) {
	old, err := d.installed()
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, path := range old {
		steps = append(steps, d.removeStep(path))
	}
	return steps, nil
}

// removeStep removes our file, and the host directory if that is empty then: an empty
// one has certproxy tunnel the host, and is a problem that it tells.
func (d *Docker) removeStep(path string) Step {
	step := removeStep(path)
	remove := step.Run
	step.Run = func(ctx context.Context) error {
		if err := remove(ctx); err != nil {
			return err
		}
		_ = os.Remove(filepath.Dir(path)) // one that is not empty stays
		return nil
	}
	return step
}

// installed returns our files in all host directories.
func (d *Docker) installed() ([]string, error) {
	entries, err := os.ReadDir(d.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", d.Root, cause(err))
	}
	var out []string
	for _, entry := range entries {
		dir := filepath.Join(d.Root, entry.Name())
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		files, err := ourFiles(dir, ".crt")
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", dir, cause(err))
		}
		out = append(out, files...)
	}
	return out, nil
}
