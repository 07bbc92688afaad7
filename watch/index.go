package watch

import (
	"path/filepath"
	"slices"
)

// An owner is what a look-up was made for.
type owner struct {
	path string // of a root, or of a host directory
	root bool
}

// A want is a name in a directory that a look-up depends on.
type want struct {
	dir  string // real path: no symbolic link in it
	name string // anyName: every name in the directory
}

// anyName stands for every name. No file can be called so.
const anyName = ""

// An index says whom an event concerns.
type index struct {
	owners map[string]map[string]map[owner]struct{} // by directory and name
	wants  map[owner][]want
}

func newIndex() *index {
	return &index{owners: map[string]map[string]map[owner]struct{}{}, wants: map[owner][]want{}}
}

// replace sets what an owner wants, and returns the directories that nobody wants
// any more.
func (x *index) replace(o owner, wants []want) (unwanted []string) {
	if slices.Equal(x.wants[o], wants) {
		return nil
	}
	for _, w := range wants {
		names := x.owners[w.dir]
		if names == nil {
			names = map[string]map[owner]struct{}{}
			x.owners[w.dir] = names
		}
		if names[w.name] == nil {
			names[w.name] = map[owner]struct{}{}
		}
		names[w.name][o] = struct{}{}
	}
	keep := make(map[want]bool, len(wants))
	for _, w := range wants {
		keep[w] = true
	}
	for _, w := range x.wants[o] {
		names := x.owners[w.dir]
		if keep[w] || names == nil {
			continue
		}
		delete(names[w.name], o)
		if len(names[w.name]) == 0 {
			delete(names, w.name)
		}
		if len(names) == 0 {
			delete(x.owners, w.dir)
			unwanted = append(unwanted, w.dir)
		}
	}
	if x.wants[o] = wants; len(wants) == 0 {
		delete(x.wants, o)
	}
	return unwanted
}

// event adds what an event of name in dir changes.
func (x *index) event(dir, name string, c *changes) {
	names := x.owners[dir]
	if names == nil {
		return
	}
	for o := range names[name] {
		o.changed(c)
	}
	for o := range names[anyName] {
		if o.root {
			c.add(filepath.Join(o.path, name))
		} else {
			o.changed(c)
		}
	}
}

// blind adds what may have changed unseen in dir.
func (x *index) blind(dir string, c *changes) {
	for _, owners := range x.owners[dir] {
		for o := range owners {
			o.changed(c)
		}
	}
}

func (o owner) changed(c *changes) {
	if o.root {
		c.merge(everything())
	} else {
		c.add(o.path)
	}
}
