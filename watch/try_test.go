package watch

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestTrySaysWhichLimitIsReached(t *testing.T) {
	closed := 0
	open := func(errs map[string]error) func() (*notifier, error) {
		return func() (*notifier, error) {
			return &notifier{add: func(dir string) error { return errs[dir] }, close: func() { closed++ }}, nil
		}
	}
	dirs := []string{"/a", "/b", "/c"}
	if err := try(open(map[string]error{"/a": syscall.EACCES, "/b": os.ErrNotExist}), dirs); err != nil {
		t.Errorf("what is no limit is %v", err)
	}
	if err := try(open(map[string]error{"/b": syscall.ENOSPC}), dirs); err == nil || !strings.Contains(err.Error(), "/b") || !strings.Contains(err.Error(), "max_user_watches") {
		t.Errorf("no watch left is %v", err)
	}
	if closed != 2 {
		t.Errorf("%d of 2 were closed", closed)
	}
	none := func() (*notifier, error) { return nil, syscall.EMFILE }
	if err := try(none, dirs); err == nil || !strings.Contains(err.Error(), "max_user_instances") {
		t.Errorf("no instance left is %v", err)
	}
}

func TestTryLeavesNothingBehind(t *testing.T) {
	if err := Try([]string{t.TempDir(), "/nonexistent"}); err != nil {
		t.Error(err)
	}
}
