// Package scratch keeps a private directory that goes away with the process that made
// it, however that ends.
//
// [Dir.Close] removes it. Should the process be killed, a guardian does, a second
// process which waits for nothing but that. Should both be killed, the next [New]
// does: a directory in use is locked, and a lock ends with its process.
//
// Files and not descriptors are what programs can be pointed at in all cases: the way
// to a file by /proc/PID/fd ends at other PID namespaces, which sandboxes make, and
// where a binary has capabilities.
package scratch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// prefix begins the name of each directory, by which it is known as one of ours.
const prefix = "certproxy-exec-"

// A Dir is a directory that nobody but its user can look into.
type Dir struct {
	Path string

	lock  *os.File  // held while the directory is in use
	guard *exec.Cmd // nil for none
	pipe  *os.File  // its end tells the guardian that we have ended
}

// New makes a directory below the one for temporary files, and removes those that
// killed processes have left there. guardian returns the command that calls [Guard]
// with its standard input; nil, or one that cannot be started, leaves that to the next New.
func New(guardian func(dir string) *exec.Cmd) (*Dir, error) {
	// Whoever is told of the path, the guardian among them, may be in another directory.
	parent, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("cannot make a private directory: %w; set TMPDIR to one with its whole path", err)
	}
	sweep(parent)
	d, err := create(parent)
	if err != nil {
		return nil, fmt.Errorf("cannot make a private directory in %s: %w; set TMPDIR to a directory that can be written", parent, cause(err))
	}
	if guardian != nil {
		d.watchOver(guardian(d.Path))
	}
	return d, nil
}

// create makes a directory and locks it. Between the two, the sweep of another process
// may take it for a dead one: then there is another try.
func create(parent string) (*Dir, error) {
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		lock, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
		if err := lockDir(lock, true); err != nil {
			return nil, errors.Join(err, lock.Close(), os.RemoveAll(path))
		}
		if same(lock, path) {
			return &Dir{Path: path, lock: lock}, nil
		}
		_ = lock.Close()
	}
}

// same reports whether an open directory still has its name.
func same(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// watchOver starts the guardian, in a session of its own: what ends a terminal's
// processes is not to end it as well.
func (d *Dir) watchOver(guard *exec.Cmd) {
	read, write, err := os.Pipe()
	if err != nil {
		return
	}
	defer func() { _ = read.Close() }()
	guard.Stdin, guard.SysProcAttr = read, ownSession()
	if err := guard.Start(); err != nil {
		_ = write.Close()
		return
	}
	d.guard, d.pipe = guard, write
}

// Close removes the directory and waits for the guardian's end.
func (d *Dir) Close() error {
	err := os.RemoveAll(d.Path)
	_ = d.lock.Close()
	if d.guard != nil {
		_ = d.pipe.Close()
		_ = d.guard.Wait() // it finds nothing to remove
	}
	return err
}

// Guard is the guardian's work: it waits until the other end of the pipe is closed,
// and removes the directory then.
func Guard(pipe io.Reader, dir string) error {
	if !isName(filepath.Base(dir)) {
		return fmt.Errorf("%s is not a directory that certproxy exec has made", dir)
	}
	_, _ = io.Copy(io.Discard, pipe) // nothing is ever written
	return os.RemoveAll(dir)
}

// isName reports whether a name is one that [os.MkdirTemp] makes for us.
func isName(name string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// sweep removes the directories that nobody has locked. Those of other users are not
// ours to open.
func sweep(parent string) {
	left, err := filepath.Glob(filepath.Join(escape(parent), prefix+"*"))
	if err != nil {
		return
	}
	for _, path := range left {
		if !isName(filepath.Base(path)) {
			continue
		}
		if dead, unlock := abandoned(path); dead {
			_ = os.RemoveAll(path)
			unlock()
		}
	}
}

// abandoned locks a directory that nobody uses, and is this user's.
func abandoned(path string) (bool, func()) {
	f, err := os.OpenFile(path, syscall.O_RDONLY|noFollow, 0)
	if err != nil {
		return false, nil
	}
	info, err := f.Stat()
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !ours(info) || lockDir(f, false) != nil {
		_ = f.Close()
		return false, nil
	}
	return true, func() { _ = f.Close() }
}

// escape makes a path mean itself in a pattern of [filepath.Glob].
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// cause strips the path, which the error names already.
func cause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
