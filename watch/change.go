package watch

import (
	"maps"
	"slices"
)

// A Change says where something may have changed. It can name a directory in which
// nothing did, and one that does not exist (any more).
type Change struct {
	Dirs []string // host directories, <root>/<name> with the root as configured; sorted, no doubles
	All  bool     // anything may have changed; Dirs is empty
}

// changes collect what a Change will say.
type changes struct {
	all  bool
	dirs map[string]struct{}
}

// everything is the change of all there is.
func everything() changes { return changes{all: true} }

func (c *changes) add(dir string) {
	if c.all {
		return
	}
	if c.dirs == nil {
		c.dirs = map[string]struct{}{}
	}
	c.dirs[dir] = struct{}{}
}

func (c *changes) merge(more changes) {
	if more.all {
		*c = everything()
	}
	for dir := range more.dirs {
		c.add(dir)
	}
}

func (c *changes) empty() bool { return !c.all && len(c.dirs) == 0 }

func (c *changes) change() Change {
	return Change{All: c.all, Dirs: slices.Sorted(maps.Keys(c.dirs))}
}
