package watch

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A rig is a directory, a watcher and a reader who, like the one that the package is
// made for, reads files only when told of a change, and only those it was told of.
// The paths of its methods are relative to the directory.
type rig struct {
	testing.TB
	dir     string
	watcher *Watcher
	changes chan Change
	warned  chan error

	files map[string]string // what the reader has read
	told  []Change          // what it was told of
}

// newRig makes a rig with the root certs.d, or those given. Its rescan is so rare that
// it hides no fault, and its quiet time so short that it meets races.
func newRig(t testing.TB, roots ...string) *rig {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, dir: dir, changes: make(chan Change), warned: make(chan error, 1000)}
	if len(roots) == 0 {
		roots = []string{"certs.d"}
	}
	for i := range roots {
		roots[i] = r.path(roots[i])
	}
	r.watcher, err = New(Config{
		Roots:   roots,
		Changed: func(c Change) { r.changes <- c },
		Warn:    func(err error) { r.warned <- err },
		Quiet:   2 * time.Millisecond, Longest: 20 * time.Millisecond, Rescan: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs the watcher until the test ends, and waits for its first report.
func (r *rig) start() {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.watcher.Run(ctx)
		close(r.changes)
	}()
	r.Cleanup(func() {
		cancel()
		for range r.changes { // Changed may be waiting for a reader
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			r.Errorf("Run = %v, want the cause of the context's end", err)
		}
	})
	if c := r.next(); !c.All {
		r.Fatalf("the first change is %v, want all", c)
	}
	r.told = nil
}

// next waits for a change and reads what it names.
func (r *rig) next() Change {
	r.Helper()
	select {
	case c := <-r.changes:
		if c.All {
			r.files = r.read(r.watcher.config.Roots...)
		}
		for _, dir := range c.Dirs {
			maps.DeleteFunc(r.files, func(path, _ string) bool { return strings.HasPrefix(r.path(path), dir+"/") })
			maps.Copy(r.files, r.readHost(dir))
		}
		r.told = append(r.told, c)
		return c
	case <-time.After(patience):
		r.Fatalf("no change came; told of %v; read %v", r.told, r.files)
	}
	return Change{}
}

// wants waits until the reader has read this content; "" means no such file.
func (r *rig) wants(path, content string) {
	r.Helper()
	for r.files[path] != content {
		r.next()
	}
}

// wantsTruth waits until the reader has read all there is.
func (r *rig) wantsTruth() {
	r.Helper()
	for !maps.Equal(r.files, r.read(r.watcher.config.Roots...)) {
		r.next()
	}
}

// toldOnly fails if the reader was told of anything but these host directories.
func (r *rig) toldOnly(dirs ...string) {
	r.Helper()
	for _, c := range r.told {
		for _, dir := range c.Dirs {
			if rel, _ := filepath.Rel(r.dir, dir); !slices.Contains(dirs, rel) {
				r.Errorf("told of %s, want only %s", rel, dirs)
			}
		}
		if c.All {
			r.Errorf("told of all, want only %s", dirs)
		}
	}
}

func (r *rig) read(roots ...string) map[string]string {
	files := map[string]string{}
	for _, root := range roots {
		hosts, _ := os.ReadDir(root)
		for _, host := range hosts {
			maps.Copy(files, r.readHost(filepath.Join(root, host.Name())))
		}
	}
	return files
}

func (r *rig) readHost(dir string) map[string]string {
	files := map[string]string{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if content, err := os.ReadFile(path); err == nil {
			rel, _ := filepath.Rel(r.dir, path)
			files[rel] = string(content)
		}
	}
	return files
}

func (r *rig) path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// mkdir is mkdir -p.
func (r *rig) mkdir(path string) { r.Helper(); r.must(os.MkdirAll(r.path(path), 0o755)) }

// write makes the directory too.
func (r *rig) write(path, content string) {
	r.Helper()
	r.mkdir(filepath.Dir(path))
	r.must(os.WriteFile(r.path(path), []byte(content), 0o600))
}

func (r *rig) mv(from, to string) { r.Helper(); r.must(os.Rename(r.path(from), r.path(to))) }

// rm is rm -rf.
func (r *rig) rm(path string) { r.Helper(); r.must(os.RemoveAll(r.path(path))) }

// ln makes a symbolic link at path in one step, also where one is.
func (r *rig) ln(target, path string) {
	r.Helper()
	r.mkdir(filepath.Dir(path))
	made := path + ".new"
	r.must(os.Symlink(target, r.path(made)))
	r.mv(made, path)
}
