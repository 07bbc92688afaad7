package certs

import (
	"io/fs"
	"maps"
	"path"
	"strings"
	"time"
)

// A rootState is what one root held when it was last read.
type rootState struct {
	root     Root
	err      error               // it cannot be read; dirs are those of the last good reading
	dirs     map[string]dirState // by directory name
	problems []Problem
}

type dirState struct {
	form     form
	host     *Host // nil when the name is no host's
	stamp    stamp
	problems []Problem // of the name
}

// A scanner reads roots. fresh names the directories (by path) whose stamps are not
// to be trusted, because something is known to have happened there.
type scanner struct {
	now   time.Time
	own   ownFunc
	fresh func(dirPath string) bool
}

// root reads a whole root, and only what its stamps show to have changed.
func (s scanner) root(last rootState) rootState {
	next := rootState{root: last.root, dirs: map[string]dirState{}}
	entries, err := fs.ReadDir(last.root.FS, ".")
	next.problems = misspelt(last.root)
	if isNotExist(err) {
		return next
	}
	if err != nil {
		info := last.root.stat()
		next.err = rootError(last.root, info, err)
		next.dirs = last.dirs
		next.problems = append(next.problems, Problem{
			Kind: ErrRoot, Path: last.root.Path, Detail: unreadable(info, err),
			Hint: "let certproxy's user list it, or name the roots to read with --certs",
		})
		return next
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		if !isDirectory(last.root.FS, name) {
			if p, ok := stray(last.root, name); ok {
				next.problems = append(next.problems, p)
			}
			continue
		}
		names = append(names, name)
	}
	for i, state := range inParallel(names, func(name string) dirState { return s.dir(last, name) }) {
		next.dirs[names[i]] = state
	}
	return next
}

// dirs reads some directories of a root again, by name.
func (s scanner) dirs(last rootState, names []string) rootState {
	next := last
	next.dirs = maps.Clone(last.dirs)
	for _, name := range names {
		if _, err := fs.Lstat(last.root.FS, name); isNotExist(err) || !isDirectory(last.root.FS, name) {
			delete(next.dirs, name)
			continue
		}
		next.dirs[name] = s.dir(last, name)
	}
	return next
}

// isDirectory reports whether an entry of a root is, or leads to, a directory. A link
// that leads nowhere counts as one: its host is listed, and cannot be read.
func isDirectory(fsys fs.FS, name string) bool {
	info, err := fs.Stat(fsys, name)
	return err != nil || info.IsDir()
}

// dir reads one host directory, or takes the last value where nothing changed.
func (s scanner) dir(last rootState, name string) dirState {
	dirPath := path.Join(last.root.Path, name)
	old := last.dirs[name]
	list := listDir(last.root.FS, name)
	next := dirState{stamp: list.stamp(s.now)}
	authority, form, err := parseDirName(name)
	p, ignored := nameProblem(dirPath, name, authority, err)
	if p.Kind != "" {
		next.problems = append(next.problems, p)
	}
	if ignored {
		return next
	}
	next.form = form
	if old.host != nil && !s.fresh(dirPath) && old.stamp.same(next.stamp) {
		next.host = old.host
		return next
	}
	next.host = readHost(last.root.FS, name, dirPath, authority, list, old.host, s.own)
	if old.host != nil && old.host.equal(next.host) {
		next.host = old.host // the same value: its connections stay
	}
	return next
}
