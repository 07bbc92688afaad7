package certs

import (
	"io/fs"
	"path"
	"slices"
	"time"
)

// A dirListing is what a host directory holds, by name, without the contents.
type dirListing struct {
	self    fs.FileInfo // nil where it cannot be had
	entries []dirEntry  // sorted bytewise
	err     error       // why the directory cannot be listed
}

type dirEntry struct {
	name string
	info fs.FileInfo // of what the entry leads to; nil for a link that leads nowhere
}

// listDir lists a directory of fsys and follows the symbolic links in it.
func listDir(fsys fs.FS, dir string) dirListing {
	var l dirListing
	if info, err := fs.Stat(fsys, dir); err == nil {
		l.self = info
	}
	entries, err := fs.ReadDir(fsys, dir) // sorts
	if err != nil {
		l.err = err
		return l
	}
	l.entries = make([]dirEntry, len(entries))
	for i, entry := range entries {
		l.entries[i].name = entry.Name()
		if info, err := fs.Stat(fsys, path.Join(dir, entry.Name())); err == nil {
			l.entries[i].info = info
		}
	}
	return l
}

// racy is how young a file may be for a stamp of it to prove nothing: a second
// write within the clock's grain leaves the same time (git calls such entries
// racy; coarse file systems count in whole seconds).
const racy = 2 * time.Second

// A stamp describes a host directory's entries without their contents. Two equal
// stamps that are not racy mean equal contents.
type stamp struct {
	entries []entryStamp
	racy    bool
}

type entryStamp struct {
	name  string
	mode  fs.FileMode
	size  int64
	mtime int64
	inode uint64
}

func (s stamp) same(o stamp) bool {
	return !s.racy && !o.racy && len(s.entries) > 0 && slices.Equal(s.entries, o.entries)
}

// stamp returns the listing's stamp. That of a directory which cannot be listed is
// empty, and equals nothing.
func (l dirListing) stamp(now time.Time) stamp {
	if l.err != nil {
		return stamp{}
	}
	out := stamp{entries: make([]entryStamp, 0, len(l.entries)+1)}
	for _, entry := range append([]dirEntry{{info: l.self}}, l.entries...) {
		e := entryStamp{name: entry.name}
		if info := entry.info; info != nil {
			e.mode, e.size, e.mtime, e.inode = info.Mode(), info.Size(), info.ModTime().UnixNano(), inode(info)
			out.racy = out.racy || now.Sub(info.ModTime()) < racy
		}
		out.entries = append(out.entries, e)
	}
	return out
}
