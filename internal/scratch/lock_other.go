//go:build !unix

package scratch

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const noFollow = 0

// lockDir cannot lock here, so nothing is taken for abandoned.
func lockDir(_ *os.File, wait bool) error {
	if wait {
		return nil
	}
	return errors.ErrUnsupported
}

func ours(fs.FileInfo) bool { return false }

func ownSession() *syscall.SysProcAttr { return nil }
