package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A System is the store of the distribution, which OpenSSL, GnuTLS, Go and all that is
// built on them read.
type System struct {
	root string // "" is /; tests have another
	run  runner
	have func(program string) bool
}

// NewSystem returns the store of this machine.
func NewSystem() *System {
	return &System{run: run, have: func(program string) bool { _, err := exec.LookPath(program); return err == nil }}
}

// Name implements Store.
func (s *System) Name() string { return "system" }

// A layout is how a family of distributions keeps the CAs that were added by hand.
type layout struct {
	anchors string // each in a file
	ext     string
	bundle  string // made of all of them
	update  []string
	// fresh is the update after something was removed, where that differs: Debian's
	// leaves the links of a removed file behind otherwise.
	fresh []string
	// hooks is a directory of programs that the update tells what came, on their
	// standard input, but not what was removed by hand: Java's CAs on Debian.
	hooks string
	links string // directory of the links that hooks are told of
}

func layouts() []layout {
	return []layout{
		{ // Fedora, RHEL
			anchors: "/etc/pki/ca-trust/source/anchors", ext: ".pem", bundle: "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
			update: []string{"update-ca-trust", "extract"},
		},
		{ // SUSE
			anchors: "/etc/pki/trust/anchors", ext: ".pem", bundle: "/etc/ssl/ca-bundle.pem",
			update: []string{"update-ca-certificates"},
		},
		{ // Arch
			anchors: "/etc/ca-certificates/trust-source/anchors", ext: ".crt", bundle: "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
			update: []string{"update-ca-trust", "extract"},
		},
		{ // Debian, Ubuntu, Alpine
			anchors: "/usr/local/share/ca-certificates", ext: ".crt", bundle: "/etc/ssl/certs/ca-certificates.crt",
			update: []string{"update-ca-certificates"}, fresh: []string{"update-ca-certificates", "--fresh"},
			hooks: "/etc/ca-certificates/update.d", links: "/etc/ssl/certs",
		},
	}
}

func (s *System) layout() (layout, error) {
	for _, l := range layouts() {
		if info, err := os.Stat(s.path(l.anchors)); err == nil && info.IsDir() && s.have(l.update[0]) {
			return l, nil
		}
	}
	return layout{}, &Absent{"this system keeps its CAs in a way that is not known, or has no ca-certificates; install that package, or give ca.crt to each client"}
}

func (s *System) path(p string) string { return filepath.Join(s.root, p) }

// Install implements Store.
func (s *System) Install(_ context.Context, ca *x509.Certificate) ([]Step, error) {
	l, err := s.layout()
	if err != nil {
		return nil, err
	}
	old, err := ourFiles(s.path(l.anchors), l.ext)
	if err != nil {
		return nil, err
	}
	mine := filepath.Join(s.path(l.anchors), Label(ca)+l.ext)
	var steps []Step
	there := false
	var removed []string
	for _, path := range old {
		if path == mine {
			there = true
			continue
		}
		removed = append(removed, path)
		steps = append(steps, removeStep(path))
	}
	switch {
	case !there:
		steps = append(steps, writeStep(mine, ca))
	case len(steps) == 0 && s.inBundle(l, ca):
		return nil, nil
	}
	update := s.updateStep(l, len(removed) > 0)
	if !there { // what the system did not take must not look as if it had
		plain := update.Run
		update.Run = func(ctx context.Context) error {
			err := plain(ctx)
			if err != nil {
				err = errors.Join(err, os.Remove(mine))
			}
			return err
		}
	}
	return append(append(steps, update), s.hookSteps(l, removed)...), nil
}

// Uninstall implements Store.
func (s *System) Uninstall(context.Context) ([]Step, error) {
	l, err := s.layout()
	if err != nil {
		return nil, err
	}
	old, err := ourFiles(s.path(l.anchors), l.ext)
	if err != nil || len(old) == 0 {
		return nil, err
	}
	var steps []Step
	for _, path := range old {
		steps = append(steps, removeStep(path))
	}
	return append(append(steps, s.updateStep(l, true)), s.hookSteps(l, old)...), nil
}

func (s *System) updateStep(l layout, removed bool) Step {
	args := l.update
	if removed && l.fresh != nil {
		args = l.fresh
	}
	line := strings.Join(args, " ")
	return Step{Would: "run " + line, Did: "ran " + line, Run: func(ctx context.Context) error {
		_, err := s.run(ctx, "", args...)
		return err
	}}
}

// hookSteps tell the programs in the hooks directory what was removed.
func (s *System) hookSteps(l layout, removed []string) []Step {
	if l.hooks == "" || len(removed) == 0 {
		return nil
	}
	entries, err := os.ReadDir(s.path(l.hooks))
	if err != nil {
		return nil // there are none
	}
	var gone strings.Builder
	for _, path := range removed {
		gone.WriteString("-" + filepath.Join(s.path(l.links), strings.TrimSuffix(filepath.Base(path), l.ext)+".pem") + "\n")
	}
	var steps []Step
	for _, entry := range entries {
		hook := filepath.Join(s.path(l.hooks), entry.Name())
		if info, err := os.Stat(hook); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		steps = append(steps, Step{Would: "tell " + hook + " of it", Did: "told " + hook + " of it", Run: func(ctx context.Context) error {
			_, err := s.run(ctx, gone.String(), hook)
			return err
		}})
	}
	return steps
}

// inBundle reports whether the last update took the CA.
func (s *System) inBundle(l layout, ca *x509.Certificate) bool {
	rest, err := os.ReadFile(s.path(l.bundle))
	if err != nil {
		return false
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if string(block.Bytes) == string(ca.Raw) {
			return true
		}
	}
}
