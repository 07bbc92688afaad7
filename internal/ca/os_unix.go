//go:build unix

package ca

import (
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// exposed reports whether users other than the owner and the group may touch a file.
func exposed(info fs.FileInfo) bool { return info.Mode().Perm()&0o007 != 0 }

// owner names the user a file belongs to.
func owner(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return userName(int(st.Uid))
	}
	return "unknown"
}

func currentUser() string { return userName(os.Geteuid()) }

// userName returns a user's name with the uid, or the uid alone.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username + " (uid " + id + ")"
	}
	return "uid " + id
}

// syncDir makes the names in a directory survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
