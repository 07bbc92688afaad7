//go:build unix

package scratch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The test binary is the guardian, and the process that is killed, too.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "guardian":
		if err := Guard(os.Stdin, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "hold":
		guardian := self
		if os.Args[2] == "without" {
			guardian = nil
		}
		d, err := New(guardian)
		if err != nil {
			panic(err)
		}
		fmt.Println(d.Path)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self(dir string) *exec.Cmd { return exec.Command(os.Args[0], "guardian", dir) }

// left returns what there is in a directory.
func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestADirectoryIsPrivateAndGone(t *testing.T) {
	tmp := filepath.Join(t.TempDir(), "[a] b*")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	d, err := New(self)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.Path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(d.Path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Another one leaves it alone.
	other, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Path, "file")); err != nil {
		t.Errorf("the directory in use is gone: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if !d.guard.ProcessState.Success() {
		t.Errorf("guardian: %v", d.guard.ProcessState)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if got := left(t, tmp); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

// hold starts a process that has a directory in tmp, and returns it with the path.
func hold(t *testing.T, tmp, guardian string) (cmd *exec.Cmd, output *bufio.Reader, path string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "hold", guardian)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	output = bufio.NewReader(stdout)
	path, err = output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, output, strings.TrimSpace(path)
}

func TestAKilledProcessLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	cmd, _, path := hold(t, tmp, "with")
	// Its children's end cannot be waited for; that the directory is gone can.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range 30_000 {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return
		}
		<-ticker.C
	}
	t.Errorf("%s is still there", path)
}

func TestWhatNobodyRemovedTheNextOneDoes(t *testing.T) {
	tmp := t.TempDir()
	cmd, _, path := hold(t, tmp, "without")
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, prefix+"file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(tmp, prefix+"link")); err != nil {
		t.Fatal(err)
	}
	sweep(tmp)
	if got := left(t, tmp); len(got) != 3 {
		t.Errorf("while it is in use: %v", got)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	sweep(tmp)
	if got := left(t, tmp); len(got) != 2 {
		t.Errorf("after it was killed: %v; want the file and the link, which are not ours", got)
	}
}

func TestTheGuardianRemovesOnlyWhatWeMade(t *testing.T) {
	dir := t.TempDir()
	if err := Guard(strings.NewReader(""), dir); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

func TestADirectoryThatCannotBeMadeIsExplained(t *testing.T) {
	t.Setenv("TMPDIR", "/nonexistent")
	if _, err := New(nil); err == nil || err.Error() != "cannot make a private directory in /nonexistent: no such file or directory; set TMPDIR to a directory that can be written" {
		t.Errorf("%v", err)
	}
}

// The command may change its directory, and the guardian is in another one.
func TestARelativeTMPDIRIsMeantFromWhereWeAre(t *testing.T) {
	where := t.TempDir()
	t.Chdir(where)
	if err := os.Mkdir("tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", "tmp")
	d, err := New(self)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if filepath.Dir(d.Path) != filepath.Join(where, "tmp") {
		t.Errorf("the directory is %s, below %s", d.Path, where)
	}
}

// A user may have directories of such names that they have made themselves.
func TestNothingIsSweptThatWeHaveNotMade(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dead := filepath.Join(tmp, prefix+"123")
	for path, mode := range map[string]os.FileMode{dead: 0o700, filepath.Join(tmp, prefix+"notes"): 0o700, filepath.Join(tmp, prefix+"456"): 0o755, filepath.Join(tmp, prefix): 0o700} {
		if err := os.Mkdir(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	d, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(left(t, tmp), " "); got != prefix+" "+prefix+"456 "+prefix+"notes" {
		t.Errorf("left: %s", got)
	}
}
