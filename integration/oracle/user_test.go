package oracle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// withoutRoot calls f as a user to whom the modes of files apply, and first shows
// that they do. The files below root become that user's, for an owner is told apart
// from others by the mode alone.
func withoutRoot(t *testing.T, root string, f func()) {
	t.Helper()
	locked := filepath.Join(filepath.Dir(root), "locked")
	if err := os.WriteFile(locked, nil, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		const nobody = 65534
		give(t, filepath.Dir(filepath.Dir(root)), nobody)
		if err := syscall.Setresuid(-1, nobody, -1); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setresuid(-1, 0, -1); err != nil {
				panic(err) // every later test would run as somebody else
			}
		}()
	}
	if _, err := os.ReadDir(root); err != nil {
		t.Fatalf("uid %d cannot read the root: %v", os.Geteuid(), err)
	}
	if _, err := os.ReadFile(locked); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("uid %d reads a file of mode 0000: %v", os.Geteuid(), err)
	}
	f()
}

// give makes a user the owner of dir and of everything in it. (The directory that
// testing makes for a test is open to its owner alone.)
func give(t *testing.T, dir string, uid int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, -1)
	}); err != nil {
		t.Fatal(err)
	}
}
