//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package ca

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxLockWait bounds the wait for another process; making a CA takes milliseconds.
const maxLockWait = 10 * time.Second

// lock makes this process the only one that makes a CA in dir, until unlock. The
// kernel releases a dead process's lock, so the file is never stale and stays:
// removing it would let two processes each lock a file of that name.
func lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(dir, err)
	}
	// Asked for again and again rather than waited for, since a stopped process
	// may hold it for ever.
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(maxLockWait); ; <-again.C {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			_ = f.Close()
			return nil, &Error{
				Kind: ErrUnwritable, About: path, Detail: "it cannot be locked: " + err.Error(), Err: err,
				Hint: "name a directory on a local file system with --state",
			}
		case time.Now().After(deadline):
			_ = f.Close()
			return nil, &Error{
				Kind: ErrBusy, About: path, Detail: "it has been locked for " + maxLockWait.String(),
				Hint: "see who holds it: fuser " + quote(path),
			}
		}
	}
}
