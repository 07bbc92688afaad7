package watch

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// degradedRescan is how often everything is reported while a limit of the system
// keeps directories from being watched.
const degradedRescan = 2 * time.Second

// A tree keeps watched whatever the roots and their host directories depend on.
type tree struct {
	config Config
	disk   disk
	open   func() (*notifier, error)
	note   func(changes) // takes what lost its watch while others got theirs

	notifier *notifier
	dirs     *directories      // nil while nothing can be watched
	index    *index            // whom an event concerns
	real     map[string]string // real paths of the roots that are directories

	reopen  bool            // the notifier is broken: make a new one
	limited bool            // a limit of the system kept a directory from being watched
	told    string          // the limit that was warned of
	warned  map[string]bool // what else was warned of until the latest full sync,
	warning map[string]bool // and since
	entered map[string]bool // directories this sync has watched already
	renew   bool            // this sync trusts no watch
}

func newTree(w *Watcher, note func(changes)) *tree {
	return &tree{
		config: w.config, disk: w.disk, open: w.open, note: note,
		notifier: &notifier{},
		index:    newIndex(),
		real:     map[string]string{},
		warned:   map[string]bool{},
		warning:  map[string]bool{},
	}
}

func (t *tree) close() {
	if t.dirs != nil {
		t.notifier.close()
	}
	t.notifier, t.dirs = &notifier{}, nil
}

// interval is the time until everything is to be reported again.
func (t *tree) interval() time.Duration {
	if t.limited {
		return min(degradedRescan, t.config.Rescan)
	}
	return t.config.Rescan
}

// event returns what an event changes.
func (t *tree) event(e fsnotify.Event) (c changes) {
	path := filepath.Clean(e.Name) // fsnotify says //etc for what is in /
	dir, name := filepath.Dir(path), filepath.Base(path)
	dirs := t.dirs.aliases(dir)
	if dirs == nil {
		dirs = []string{dir} // told by the directory itself, whose parent cannot be watched
	}
	for _, dir := range dirs {
		t.index.event(dir, name, &c)
		if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Remove) && !e.Has(fsnotify.Rename) {
			continue
		}
		// If this was a watched directory, another may be in its place, even one with
		// the same inode number; or the same one, back after fsnotify gave it up.
		for _, blind := range t.dirs.forget(filepath.Join(dir, name)) {
			t.index.blind(blind, &c)
		}
	}
	return c
}

// sync puts in place the watches that the changed directories need now.
func (t *tree) sync(c changes) {
	t.entered, t.renew = map[string]bool{}, c.all
	if c.all {
		t.syncAll()
		return
	}
	for dir := range c.dirs {
		t.syncHost(dir)
	}
}

func (t *tree) syncAll() {
	t.limited = false
	if t.prepare() {
		// Roots first: where watches are scarce, these are worth most.
		hosts := map[string]bool{}
		for _, root := range t.config.Roots {
			for _, name := range t.syncRoot(root) {
				hosts[filepath.Join(root, name)] = true
			}
		}
		for o := range t.index.wants {
			if !o.root && !hosts[o.path] {
				t.want(o, nil)
			}
		}
		for host := range hosts {
			t.syncHost(host)
		}
	}
	if !t.limited {
		t.told = ""
	}
	t.warned, t.warning = t.warning, map[string]bool{}
}

// prepare tells whether directories can be watched at all.
func (t *tree) prepare() bool {
	if t.reopen {
		t.close()
		t.reopen = false
	}
	if t.dirs != nil {
		return true
	}
	n, err := t.open()
	if err != nil {
		t.limit("open", openError(err, min(degradedRescan, t.config.Rescan)))
		return false
	}
	t.notifier, t.dirs = n, newDirectories(n, t.disk)
	return true
}

// syncRoot returns the names in the root that may be host directories.
func (t *tree) syncRoot(root string) (hosts []string) {
	var wants []want
	real, ok := t.lookUpAbs(root, &wants)
	if ok {
		t.real[root] = real
		wants = append(wants, want{real, anyName})
		for _, e := range t.read(real) {
			if e.IsDir() || e.Type() == fs.ModeSymlink {
				hosts = append(hosts, e.Name())
			}
		}
	} else {
		delete(t.real, root)
	}
	t.want(owner{path: root, root: true}, wants)
	return hosts
}

func (t *tree) syncHost(path string) {
	var wants []want
	root, known := t.real[filepath.Dir(path)]
	if known && t.dirs != nil {
		real, ok := t.lookUp(root, filepath.Base(path), &wants)
		switch {
		case ok:
			wants = append(wants, want{real, anyName})
			for _, e := range t.read(real) {
				if e.Type() == fs.ModeSymlink {
					t.lookUp(real, e.Name(), &wants)
				}
			}
		case len(wants) == 1:
			wants = nil // not there, or a file: the root wants every name anyway
		}
	}
	t.want(owner{path: path}, wants)
}

// read watches a directory, then lists it.
func (t *tree) read(dir string) []fs.DirEntry {
	t.enter(dir)
	entries, err := t.disk.readDir(dir)
	t.checkDir(dir, err)
	return entries
}

// enter watches a directory.
func (t *tree) enter(dir string) {
	if t.entered[dir] {
		return
	}
	t.entered[dir] = true
	blind, err := t.dirs.watch(dir, t.renew)
	t.blind(blind)
	if isLimit(err) {
		t.limit("watch", limitError(dir, err, min(degradedRescan, t.config.Rescan)))
		return
	}
	t.checkDir(dir, err)
}

// want sets what an owner wants, and ends the watches that nobody wants any more.
func (t *tree) want(o owner, wants []want) {
	for _, dir := range t.index.replace(o, wants) {
		delete(t.entered, dir)
		if t.dirs != nil {
			t.blind(t.dirs.unwatch(dir))
		}
	}
}

// blind has the owners of directories that lost their watch looked at again.
func (t *tree) blind(dirs []string) {
	var c changes
	for _, dir := range dirs {
		delete(t.entered, dir)
		t.index.blind(dir, &c)
	}
	t.note(c)
}

// limit remembers that the system has no more of something to give, and warns of it
// once until there is more.
func (t *tree) limit(of string, warning error) {
	t.limited = true
	if t.told != of {
		t.told = of
		t.config.Warn(warning)
	}
}

// checkDir warns once of a directory that is there and cannot be watched or looked into.
func (t *tree) checkDir(dir string, err error) {
	if err == nil || isGone(err) {
		return // one that is gone comes back with an event in its parent
	}
	t.warnOnce(dir, dirError(dir, err, t.config.Rescan))
}

// warnOnce warns, unless it did since the full sync before the latest: again only of
// what had been in order in between.
func (t *tree) warnOnce(about string, warning error) {
	if !t.warned[about] && !t.warning[about] {
		t.config.Warn(warning)
	}
	t.warning[about] = true
}
