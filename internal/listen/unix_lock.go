//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package listen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// A lock says that a path is ours, from before we look at what is there until after our
// socket is gone. The kernel releases a dead process's lock, so that one is never stale.
//
// It is a file of its own, which only its owner can open. The directory could be
// locked instead, but by any user who may read it, and for ever.
type lock struct {
	file *os.File
	once sync.Once
}

// acquire locks the path of a spec, or says by whom it is held.
func acquire(ctx context.Context, spec Spec) (*lock, error) {
	name := spec.Addr + ".lock"
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", spec, err)
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, lockError(spec, name, err)
		}
		opened, err := f.Stat()
		if err == nil && !opened.Mode().IsRegular() {
			err = syscall.EEXIST
		}
		if err == nil {
			err = flock(f)
		}
		if err != nil {
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				holder, _ := probe(ctx, spec.Addr) // fails while that one begins or ends
				return nil, inUse(spec, holder)
			}
			return nil, lockError(spec, name, err)
		}
		// Whoever held it may have removed the file after we opened it: then the next
		// process locks a new one, and ours holds nobody off.
		if found, err := os.Lstat(name); err == nil && os.SameFile(found, opened) {
			return &lock{file: f}, nil
		}
		_ = f.Close()
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release removes the file and unlocks it. The order matters: see acquire.
func (l *lock) release() {
	l.once.Do(func() {
		if info, err := l.file.Stat(); err == nil {
			remove(l.file.Name(), info)
		}
		// Closing would do, but for a child that is just being started: it has the
		// descriptor until it executes its program.
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
		_ = l.file.Close()
	})
}

func lockError(spec Spec, name string, err error) error {
	switch {
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EEXIST), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENXIO):
		return fmt.Errorf("cannot listen on %s: %s is not a file, and certproxy wants to lock one of that name; remove it, or choose another path", spec, name)
	case errors.Is(err, syscall.EACCES):
		if _, missing := os.Lstat(name); missing == nil {
			return fmt.Errorf("cannot listen on %s: %s is another user's, whose certproxy may be running; stop it, and remove the file if it stays", spec, name)
		}
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP):
		return fmt.Errorf("cannot listen on %s: files cannot be locked there; choose a local file system, such as /run", spec)
	}
	return pathError(spec, err)
}
