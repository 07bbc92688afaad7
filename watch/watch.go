// Package watch answers one question: below which host directories of a certs.d
// tree did something change?
//
// It knows paths, not certificates, and reads no file. It watches directories
// only, never files: every directory that a look-up of a root, of a host directory
// or of a symbolic link in a host directory passes through. So a root may appear
// later, go away or be a link that is swapped, and a change behind a link, such as
// Kubernetes' ..data, counts as a change of the host directory that has the link.
//
// The order is always: watch a directory, then look into it, then report it. Who
// reads a directory when [Config.Changed] is called therefore misses nothing: what
// comes after the reading makes an event.
//
// What the kernel does not tell (overlay layers, a mount over a directory, network
// file systems) a periodic rescan covers.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Config says what to watch and whom to tell.
type Config struct {
	// Roots are the directories that hold host directories, as absolute paths.
	// They need not exist yet. Required.
	Roots []string

	// Changed is told of changes, from one goroutine. While it runs, further
	// changes are merged, so a slow one loses nothing. Required.
	Changed func(Change)

	// Warn is told when watching is worse than it should be, and what to do about
	// it. It is called from another goroutine than Changed and must not block.
	// Nil ignores warnings.
	Warn func(error)

	Quiet   time.Duration // a change is reported once nothing happened for this long; zero means 100 ms
	Longest time.Duration // but not later than this; zero means 1 s, or Quiet if that is longer
	Rescan  time.Duration // how often everything is reported, changed or not; zero means 60 s
}

// A Watcher watches the roots of its [Config] while [Watcher.Run] runs.
type Watcher struct {
	config Config
	rescan chan struct{}

	// What tests replace.
	disk disk
	open func() (*notifier, error)
}

// A disk is how the watcher looks at the file system.
type disk struct {
	lstat   func(path string) (fs.FileInfo, error)
	readDir func(path string) ([]fs.DirEntry, error)
}

// New checks the configuration. It watches nothing yet: see [Watcher.Run].
func New(c Config) (*Watcher, error) {
	if len(c.Roots) == 0 {
		return nil, errors.New("watch: no root to watch")
	}
	if c.Changed == nil {
		return nil, errors.New("watch: nobody to tell: Changed is nil")
	}
	roots := make([]string, 0, len(c.Roots))
	for _, root := range c.Roots {
		if !filepath.IsAbs(root) {
			return nil, fmt.Errorf("watch: root %q is not an absolute path", root)
		}
		if root = filepath.Clean(root); !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	if c.Quiet < 0 || c.Longest < 0 || c.Rescan < 0 {
		return nil, errors.New("watch: a duration is negative")
	}
	c.Roots = roots
	c.Quiet = orDefault(c.Quiet, 100*time.Millisecond)
	c.Longest = orDefault(c.Longest, max(c.Quiet, time.Second))
	c.Rescan = orDefault(c.Rescan, time.Minute)
	if c.Longest < c.Quiet {
		return nil, fmt.Errorf("watch: Longest (%v) is shorter than Quiet (%v)", c.Longest, c.Quiet)
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	return &Watcher{
		config: c,
		rescan: make(chan struct{}, 1),
		disk:   disk{lstat: os.Lstat, readDir: os.ReadDir},
		open:   openNotifier,
	}, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Rescan asks for everything to be looked at again and reported, now. It never
// blocks; requests that come while one waits are one.
func (w *Watcher) Rescan() {
	select {
	case w.rescan <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends, and returns the cause of its end. Whatever goes wrong
// with watching is a warning, never an end.
//
// The first report is always Change{All: true}, sent once everything is watched.
// When Run returns, no call of Changed or Warn is under way or will come. Run it
// once at a time.
func (w *Watcher) Run(ctx context.Context) error {
	out, told := make(chan Change), make(chan struct{})
	go func() {
		defer close(told)
		for change := range out {
			w.config.Changed(change)
		}
	}()
	s := newSession(w, out)
	s.run(ctx)
	close(out)
	<-told
	return context.Cause(ctx)
}
