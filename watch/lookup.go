package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a look-up follows, as in Linux.
const maxLinks = 40

const separator = string(filepath.Separator)

// lookUpAbs looks an absolute path up as [tree.lookUp] does.
func (t *tree) lookUpAbs(path string, wants *[]want) (real string, isDir bool) {
	volume := filepath.VolumeName(path)
	return t.lookUp(volume+separator, path[len(volume):], wants)
}

// lookUp goes along path from the directory dir as the kernel does, name by name,
// following symbolic links. It watches each directory before it looks a name up in
// it and adds both to wants, also where it ends early, so that any change of the
// way makes an event. dir has no symbolic link in it, and neither has real.
func (t *tree) lookUp(dir, path string, wants *[]want) (real string, isDir bool) {
	links := 0
	names := strings.Split(path, separator)
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			dir = filepath.Dir(dir)
			continue
		}
		t.enter(dir)
		*wants = append(*wants, want{dir, name})
		next := filepath.Join(dir, name)
		info, err := t.disk.lstat(next)
		if err != nil {
			t.checkDir(next, err)
			return "", false
		}
		switch {
		case info.IsDir():
			dir = next
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return "", false
			}
			if filepath.IsAbs(target) {
				volume := filepath.VolumeName(target)
				dir, target = volume+separator, target[len(volume):]
			}
			names = append(strings.Split(target, separator), names...)
		default:
			return "", false
		}
	}
	return dir, true
}

// isGone tells whether err says that there is no such directory.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
