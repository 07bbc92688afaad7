//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

// inodeOf identifies the directory itself, whatever its path.
func inodeOf(path string, info fs.FileInfo) inode {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return inode{dev: uint64(st.Dev), ino: uint64(st.Ino)} //nolint:unconvert // the types differ between systems
	}
	return inode{path: path}
}
