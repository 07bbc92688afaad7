package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// isLimit tells whether err says that the system has no watch (or descriptor, or
// memory) to give.
func isLimit(err error) bool {
	for _, limit := range []syscall.Errno{syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// Try watches directories for a moment, and returns why the system's limits would not
// let a process of this user watch them all; nil means that they do. A directory that
// cannot be watched for another reason is passed over.
func Try(dirs []string) error { return try(openNotifier, dirs) }

func try(open func() (*notifier, error), dirs []string) error {
	n, err := open()
	if err != nil {
		return openError(err, time.Minute)
	}
	defer n.close()
	for _, dir := range dirs {
		if err := n.add(dir); err != nil && isLimit(err) {
			return limitError(dir, err, time.Minute)
		}
	}
	return nil
}

// openError says why nothing can be watched at all, and what to do.
func openError(err error, every time.Duration) error {
	hint := ""
	if isLimit(err) {
		hint = ": raise the sysctl fs.inotify.max_user_instances (say, to 1024), which all processes of this user share, or this process's limit of open files"
	}
	return fmt.Errorf("watch: cannot watch any directory: %w; everything is read again every %v until it can%s", err, every, hint)
}

// limitError says why a directory, and maybe others, cannot be watched, and what to do.
func limitError(dir string, err error, every time.Duration) error {
	return fmt.Errorf("watch: cannot watch %s, and maybe others: %w; everything is read again every %v until it can: "+
		"raise the sysctl fs.inotify.max_user_watches (say, to 524288), which all processes of this user share", dir, err, every)
}

// dirError says why one directory cannot be watched, and what to do.
func dirError(dir string, err error, every time.Duration) error {
	var withPath *fs.PathError
	if errors.As(err, &withPath) {
		err = withPath.Err
	}
	hint := ""
	if errors.Is(err, syscall.EACCES) {
		hint = ": give this process's user read and search permission to see changes at once"
	}
	return fmt.Errorf("watch: cannot watch %s: %w; it is read again every %v%s", dir, err, every, hint)
}
