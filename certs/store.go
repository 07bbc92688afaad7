package certs

import (
	"crypto/x509"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type ownFunc = func(*x509.Certificate) bool

// A Store holds the index in use. Lookups never wait for a reload, and what a
// reload cannot read keeps its last good value.
type Store struct {
	own     ownFunc
	current atomic.Pointer[Index]

	reload     sync.Mutex // one reload at a time
	generation uint64     // of the newest host; guarded by reload
}

// NewStore reads the roots, most important first. own tells the local CA's own
// certificate, which is passed over where it lies in a host directory; nil tells none.
func NewStore(roots []Root, own func(*x509.Certificate) bool) *Store {
	s := &Store{own: own}
	states := make([]rootState, len(roots))
	for i, root := range roots {
		states[i].root = root
	}
	s.current.Store(&Index{states: states})
	s.Reload(nil)
	return s
}

// Index returns the index in use.
func (s *Store) Index() *Index { return s.current.Load() }

// Lookup returns the host of a canonical authority in the index in use.
func (s *Store) Lookup(authority string) (*Host, bool) { return s.current.Load().Lookup(authority) }

// A Delta is what a reload changed.
type Delta struct {
	Added, Changed, Removed []*Host // by name; Changed holds the new values
}

// Empty reports whether nothing changed.
func (d Delta) Empty() bool { return len(d.Added)+len(d.Changed)+len(d.Removed) == 0 }

// Reload reads host directories again and swaps the index. dirs are their paths;
// nil looks at every directory of every root and reads those whose files changed.
func (s *Store) Reload(dirs []string) Delta {
	s.reload.Lock()
	defer s.reload.Unlock()
	last := s.current.Load()
	sc := scanner{now: time.Now(), own: s.own, fresh: func(dir string) bool { return slices.Contains(dirs, dir) }}
	states := slices.Clone(last.states)
	for i, state := range states {
		switch names := within(state.root.Path, dirs); {
		case dirs == nil || state.err != nil:
			states[i] = sc.root(state)
		case len(names) > 0:
			states[i] = sc.dirs(state, names)
		}
	}
	for _, state := range states {
		for _, dir := range state.dirs {
			if dir.host != nil && dir.host.Generation == 0 {
				s.generation++
				dir.host.Generation = s.generation // not published yet, so ours to write
			}
		}
	}
	next := newIndex(states)
	s.current.Store(next)
	return diff(last, next)
}

// within returns the names of those directories that lie directly in the root.
func within(root string, dirs []string) []string {
	var names []string
	for _, dir := range dirs {
		if filepath.Dir(dir) == filepath.Clean(root) {
			names = append(names, filepath.Base(dir))
		}
	}
	return names
}

func diff(last, next *Index) Delta {
	var d Delta
	for _, h := range next.hosts {
		switch old, ok := last.hosts[h.Name]; {
		case !ok:
			d.Added = append(d.Added, h)
		case old != h:
			d.Changed = append(d.Changed, h)
		}
	}
	for _, h := range last.hosts {
		if _, ok := next.hosts[h.Name]; !ok {
			d.Removed = append(d.Removed, h)
		}
	}
	for _, list := range [][]*Host{d.Added, d.Changed, d.Removed} {
		slices.SortFunc(list, byName)
	}
	return d
}
