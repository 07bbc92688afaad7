package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchmarksAreComparedWithTheLastRelease(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	commit(t, repository, 1)
	git(t, repository, "tag", "v0.9.0")
	commit(t, repository, 2)
	git(t, repository, "tag", "v1.0.0")
	git(t, repository, "tag", "nightly") // no release
	commit(t, repository, 3)
	change(t, repository, 4)

	out := run(t, repository)
	for _, want := range []string{" v1.0.0 ", " now ", "2.000", "4.000"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q, though the release says 2 and the working tree 4:\n%s", want, out)
		}
	}
}

func TestWithoutAReleaseTheWorkingTreeIsMeasuredAlone(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	commit(t, repository, 1)
	out := run(t, repository)
	for _, want := range []string{"There is no release tag yet", " now ", "1.000"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestBenchmarksThatFailAreShownAndEndTheComparison(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	commit(t, repository, 1)
	write(t, repository, "a_test.go", "package made\nvar _ = nowhere\n")
	out, err := script(t, repository).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "undefined: nowhere") {
		t.Errorf("ended with %v and said:\n%s", err, out)
	}
}

// commit commits a module whose benchmark reports n.
func commit(t *testing.T, repository string, n int) {
	t.Helper()
	change(t, repository, n)
	if _, err := os.Stat(filepath.Join(repository, ".git")); err != nil {
		git(t, repository, "init", "--quiet")
	}
	git(t, repository, "add", ".")
	git(t, repository, "commit", "--quiet", "--message", "made")
}

func change(t *testing.T, repository string, n int) {
	t.Helper()
	write(t, repository, "go.mod", "module made\n\ngo 1.26\n")
	write(t, repository, "a_test.go", fmt.Sprintf(`package made
import "testing"
func BenchmarkOne(b *testing.B) { for b.Loop() {}; b.ReportMetric(%d, "parts") }
`, n))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=made", "-c", "user.email=made@example.test"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func run(t *testing.T, repository string) string {
	t.Helper()
	out, err := script(t, repository).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func script(t *testing.T, repository string) *exec.Cmd {
	t.Helper()
	benchstat := filepath.Join(t.TempDir(), "benchstat")
	if out, err := exec.Command("go", "build", "-o", benchstat, "golang.org/x/perf/cmd/benchstat").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path, err := filepath.Abs("bench.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, benchstat)
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "BENCH=One", "BENCHTIME=1x", "COUNT=1")
	return cmd
}
