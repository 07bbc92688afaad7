package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A module is one that has code in the binary of at least one system.
type module struct {
	path, version string
	licence       string // SPDX identifiers
	files         []notice
}

// A notice is a file that goes with the binary.
type notice struct {
	name string // within the module
	text string
}

// standardLibrary stands for the path of what is linked in of Go itself. It has no
// version: whoever builds decides it, and the text is the same.
const standardLibrary = "Go standard library"

// isNotice is for names of files that state a licence, or that one wants kept.
func isNotice(name string) bool {
	return regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`).MatchString(name) &&
		!strings.HasSuffix(name, ".go")
}

// linked returns the modules of the binaries of all systems, and Go's own library.
func linked(top string) ([]module, error) {
	root, err := goCommand(top, "linux", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	found := map[string]*module{standardLibrary: {path: standardLibrary}}
	if err := found[standardLibrary].read(strings.TrimSpace(root), strings.TrimSpace(root)); err != nil {
		return nil, err
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		out, err := goCommand(top, system, "list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", "./cmd/certproxy")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			f := strings.Split(strings.TrimSpace(line), "\t")
			if len(f) != 4 {
				continue // of the standard library, or ours
			}
			m := found[f[0]]
			if m == nil {
				m = &module{path: f[0], version: f[1]}
				found[f[0]] = m
			}
			if err := m.read(f[2], f[3]); err != nil {
				return nil, err
			}
		}
	}
	out := make([]module, 0, len(found))
	for _, m := range found {
		if err := m.classify(); err != nil {
			return nil, err
		}
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return out, nil
}

// read takes the notices of a package: those in its directory and in all above it, for
// code that was copied from elsewhere has its own.
func (m *module) read(root, dir string) error {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name, err := filepath.Rel(root, filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			if e.IsDir() || !isNotice(e.Name()) || slices.ContainsFunc(m.files, func(n notice) bool { return n.name == name }) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			m.files = append(m.files, notice{name, string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))})
		}
		if dir == root || len(dir) <= len(root) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// classify finds out which licences the files state.
func (m *module) classify() error {
	ids := make(map[string]bool)
	for _, n := range m.files {
		base := strings.ToLower(filepath.Base(n.name))
		if strings.HasPrefix(base, "notice") || strings.HasPrefix(base, "patents") {
			continue
		}
		id := identify(n.text)
		if id == "" {
			return fmt.Errorf("%s %s: %s states no licence that is known; read it, and do not use the module unless it may be linked", m.path, m.version, n.name)
		}
		for one := range strings.SplitSeq(id, " AND ") {
			ids[one] = true
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("%s %s has no file with a licence; do not use it unless it is found elsewhere", m.path, m.version)
	}
	m.licence = strings.Join(slices.Sorted(maps.Keys(ids)), " AND ")
	slices.SortFunc(m.files, func(a, b notice) int { return cmp.Compare(a.name, b.name) })
	return nil
}

func goCommand(top, system string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
