package oracle

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A tree is the contents of a host directory by name; "" is the directory itself.
type tree map[string]node

// A node is a file, a symbolic link or a directory.
type node struct {
	data   []byte
	link   string
	folder bool
	mode   fs.FileMode
}

func file(data []byte) node                       { return node{data: data, mode: 0o600} }
func fileMode(data []byte, mode fs.FileMode) node { return node{data: data, mode: mode} }
func link(target string) node                     { return node{link: target} }
func folder(mode fs.FileMode) node                { return node{folder: true, mode: mode} }

// pair is NAME.cert and NAME.key for each name, all with the same identity.
func pair(c *throwaway.Certificate, names ...string) tree {
	out := tree{}
	for _, name := range names {
		out[name+".cert"], out[name+".key"] = file(c.ChainPEM()), file(c.KeyPEM())
	}
	return out
}

// and returns both trees in one; other wins.
func (t tree) and(other tree) tree {
	out := maps.Clone(t)
	maps.Copy(out, other)
	return out
}

// write makes the tree as dir. Modes come last, children first: some forbid writing.
func (t tree) write(tb testing.TB, dir string) {
	tb.Helper()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	if self, ok := t[""]; !ok || self.folder {
		check(os.Mkdir(dir, 0o755))
		tb.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	}
	names := slices.Sorted(maps.Keys(t))
	for _, name := range names {
		n, path := t[name], filepath.Join(dir, name)
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case n.link != "":
			check(os.Symlink(n.link, path))
		case n.folder:
			check(os.MkdirAll(path, 0o755))
		default:
			check(os.WriteFile(path, n.data, 0o600))
		}
	}
	for _, name := range slices.Backward(names) {
		if n := t[name]; n.link == "" {
			check(os.Chmod(filepath.Join(dir, name), n.mode))
		}
	}
}
