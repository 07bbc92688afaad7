package certs

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"time"
)

// An Index is all hosts of all roots, as one immutable value.
type Index struct {
	hosts    map[string]*Host    // by canonical authority
	shadowed map[string][]string // directories that another one takes precedence over
	states   []rootState
	problems []Problem // of roots and of names
}

// Lookup returns the host of a canonical authority (see [ParseAuthority]). It
// takes no lock and does not read the disk.
func (ix *Index) Lookup(authority string) (*Host, bool) {
	h, ok := ix.hosts[authority]
	return h, ok
}

// Hosts returns all hosts, sorted by name.
func (ix *Index) Hosts() []*Host {
	return slices.SortedFunc(maps.Values(ix.hosts), byName)
}

func byName(a, b *Host) int { return cmp.Compare(a.Name, b.Name) }

// Shadowed returns the directories that stand for the host but are not used,
// because an earlier root or a more exact name takes precedence.
func (ix *Index) Shadowed(authority string) []string { return ix.shadowed[authority] }

// Problems returns every problem at the given time: those of roots and names
// first, then host by host.
func (ix *Index) Problems(now time.Time) []Problem {
	out := slices.Clone(ix.problems)
	for _, h := range ix.Hosts() {
		out = append(out, h.ProblemsAt(now)...)
	}
	return out
}

// Err returns why roots cannot be read, or nil. A root that does not exist is no
// error; one that cannot be listed could hide any host, so serving must not begin.
func (ix *Index) Err() error {
	var errs []error
	for _, s := range ix.states {
		errs = append(errs, s.err)
	}
	return errors.Join(errs...)
}

// newIndex resolves the precedence between the directories of a host: the first
// root that has one wins, then the more exact form of the name.
func newIndex(states []rootState) *Index {
	ix := &Index{hosts: map[string]*Host{}, shadowed: map[string][]string{}, states: states}
	for _, s := range states {
		ix.problems = append(ix.problems, s.problems...)
		names := slices.SortedFunc(maps.Keys(s.dirs), func(a, b string) int {
			return cmp.Or(cmp.Compare(s.dirs[a].form, s.dirs[b].form), cmp.Compare(a, b))
		})
		for _, name := range names {
			dir := s.dirs[name]
			ix.problems = append(ix.problems, dir.problems...)
			if dir.host == nil {
				continue
			}
			winner, taken := ix.hosts[dir.host.Name]
			if !taken {
				ix.hosts[dir.host.Name] = dir.host
				continue
			}
			ix.shadowed[winner.Name] = append(ix.shadowed[winner.Name], dir.host.Dir)
			if path.Dir(winner.Dir) == s.root.Path {
				ix.problems = append(ix.problems, Problem{
					Kind: ErrDuplicate, Host: winner.Name, Path: dir.host.Dir, Detail: winner.Dir + " is used",
					Hint: "directories are never merged: keep one of them",
				})
			}
		}
	}
	return ix
}

// equal reports whether two values of a host are the same to every reader.
func (h *Host) equal(o *Host) bool {
	return h.Name == o.Name && h.Dir == o.Dir && h.Action == o.Action &&
		h.TrustID() == o.TrustID() && slices.Equal(h.Problems, o.Problems) &&
		slices.EqualFunc(h.Pairs, o.Pairs, func(a, b *Pair) bool {
			return a.Name == b.Name && a.id == b.id && a.Stale == b.Stale && a.CertFile == b.CertFile && a.KeyFile == b.KeyFile
		})
}
