//go:build !unix

package certs

import (
	"io/fs"
	"os/user"
)

func ownerUID(fs.FileInfo) (int, bool) { return 0, false }

func inode(fs.FileInfo) uint64 { return 0 }

func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return "an unknown user"
	}
	return u.Username
}
