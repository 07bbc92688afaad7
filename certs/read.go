package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/user"
	"path"
	"strconv"
)

// maxFile bounds what is read of one file. All the CA roots of a Debian are under
// 300 KiB, and with their text under 2 MiB.
const maxFile = 16 << 20

// read reads a regular file of the host directory, and no more than maxFile of it.
// Anything else, a FIFO for one, could block the reader for ever.
func (r *dirReader) read(file string) ([]byte, fs.FileInfo, error) {
	info := r.files[file]
	if info != nil && !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("it is no regular file (%s)", info.Mode())
	}
	f, err := r.fsys.Open(path.Join(r.base, file))
	if err != nil {
		return nil, info, err
	}
	defer func() { _ = f.Close() }()
	if info == nil { // the link led nowhere when the directory was listed
		if info, err = f.Stat(); err != nil {
			return nil, nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return data, info, err
}

// unreadable describes a file that could not be read: the mode, its owner and who
// tried, for those decide it.
func unreadable(info fs.FileInfo, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the symbolic link leads nowhere"
	case errors.Is(err, fs.ErrPermission) && info != nil:
		return fmt.Sprintf("mode %04o, owner %s, and certproxy runs as %s", info.Mode().Perm(), ownerName(info), currentUser())
	case errors.Is(err, fs.ErrPermission):
		return "permission denied, and certproxy runs as " + currentUser()
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err // the path is named already
	}
	return err.Error()
}

func ownerName(info fs.FileInfo) string {
	uid, ok := ownerUID(info)
	if !ok {
		return "unknown"
	}
	return userName(uid)
}

// userName returns a user's name with the uid, or the uid alone.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("%s (uid %s)", u.Username, id)
	}
	return "uid " + id
}
