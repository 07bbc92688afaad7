//go:build unix

package certs

import (
	"io/fs"
	"os"
	"syscall"
)

// ownerUID returns the uid a file belongs to.
func ownerUID(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// inode returns what tells two files of one name apart.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino) //nolint:unconvert // its type differs between systems
	}
	return 0
}

func currentUser() string { return userName(os.Geteuid()) }
