//go:build unix

package ca

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKill kills a process that makes CAs, a hundred times at random moments, while
// this process reads what it makes.
func TestKill(t *testing.T) {
	base := t.TempDir()
	made, unfinished := 0, 0
	moments := make(map[string]int) // the files at the kill, and how often
	for range 100 {
		dir := filepath.Join(base, time.Now().Format("150405.000000000"))
		cmd := child(t, "create-for-ever", dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The deadline comes at any moment of a creation, which takes some milliseconds.
		var kill *time.Timer
		var names []string
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			if kill == nil {
				kill = time.AfterFunc(rand.N(30*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
			names = append(names, lines.Text())
			if _, err := Load(lines.Text()); err != nil && !errors.Is(err, ErrNone) {
				t.Errorf("seen while it was made: %v", err)
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the child was not killed: %v, %q", err, names)
		}
		for i, name := range names {
			_, before := Load(name)
			if present(name) {
				moments[strings.Join(listDir(t, name), " ")]++
			}
			c, isNew, err := LoadOrCreate(name)
			if err != nil {
				t.Errorf("after kill -9: %v; files %q", err, listDir(t, name))
				continue
			}
			if _, err := c.Leaf("registry.example"); err != nil {
				t.Error(err)
			}
			if got := listDir(t, name); isNew && !slices.Equal(got, []string{lockFile, CertFile, KeyFile}) {
				t.Errorf("files = %q", got)
			}
			switch {
			case isNew && i < len(names)-1:
				t.Errorf("%s: a finished CA was lost: %v", name, before)
			case isNew:
				unfinished++
			default:
				made++
			}
		}
	}
	t.Logf("%d CAs were finished, %d creations were interrupted, at %v", made, unfinished, moments)
	if unfinished == 0 {
		t.Error("no creation was interrupted: the test proves nothing")
	}
}
