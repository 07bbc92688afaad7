package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// made is a module whose packages end in every way a package can end.
var made = map[string]string{
	"go.mod": "module made\n\ngo 1.26\n",
	"pass/a_test.go": `package pass
import "testing"
func TestOne(t *testing.T) {}
func TestTable(t *testing.T) {
	for _, name := range []string{"a", "b", "c"} {
		t.Run(name, func(t *testing.T) { t.Log("said by a test that passed") })
	}
}`,
	"fail/a_test.go": `package fail
import "testing"
func TestGood(t *testing.T) { t.Log("said by a test that passed") }
func TestTable(t *testing.T) {
	t.Run("bad", func(t *testing.T) { t.Error("two is not three") })
	t.Run("good", func(t *testing.T) {})
}`,
	"skip/a_test.go": `package skip
import "testing"
func TestOne(t *testing.T) {}
func TestNginx(t *testing.T) { t.Skip("nginx is not installed") }`,
	"broken/a_test.go": `package broken
import "testing"
func TestOne(t *testing.T) { undefined() }`,
	"vetted/a.go": `package vetted
import "made/nowhere"
var _ = nowhere.X`,
	"vetted/a_test.go": `package vetted
import "testing"
func TestOne(t *testing.T) {}`,
	"panics/a_test.go": `package panics
import "testing"
func TestFirst(t *testing.T) {}
func TestOne(t *testing.T) { done := make(chan bool); go func() { panic("out of cheese") }(); <-done }`,
	"hangs/a_test.go": `package hangs
import "testing"
func TestOne(t *testing.T) { select {} }
func TestTwo(t *testing.T) {}`,
	"exits/a_test.go": `package exits
import ("os"; "testing")
func TestOne(t *testing.T) { os.Exit(0) }`,
	"main/a_test.go": `package main
import ("os"; "testing")
func TestMain(m *testing.M) { m.Run(); println("a goroutine is left"); os.Exit(1) }
func TestOne(t *testing.T) {}`,
	"silent/a_test.go": `package silent
import ("os"; "testing")
func TestMain(m *testing.M) { os.Exit(0) }
func TestOne(t *testing.T) {}`,
	"none/a.go": "package none\n",
}

// TestVerdicts runs the real go command: what it prints about a package that
// hangs or does not build is not ours to make up.
func TestVerdicts(t *testing.T) {
	module := t.TempDir()
	for name, text := range made {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		packages string
		code     int
		closing  string
		says     []string
		notSays  string
	}{
		{"./pass ./none", 0, "4 passed, 0 failed, 0 skipped", []string{"ok    4 tests in 1 package "}, "said by a test"},
		{"./pass ./fail", 1, "6 passed, 1 failed, 0 skipped", []string{"FAIL  7 tests", "two is not three"}, "said by a test"},
		{"./skip", 0, "1 passed, 0 failed, 1 skipped", []string{"SKIPPED  made/skip TestNginx: a_test.go:4: nginx is not installed"}, ""},
		{"./pass ./broken", 1, "4 passed, 1 failed, 0 skipped", []string{"undefined: undefined"}, ""},
		{"./pass ./vetted", 1, "4 passed, 1 failed, 0 skipped", []string{"made/nowhere"}, ""},
		{"./panics", 1, "1 passed, 1 failed, 0 skipped", []string{"out of cheese"}, ""},
		{"-timeout=1s ./hangs", 1, "0 passed, 1 failed, 0 skipped", []string{"test timed out after 1s"}, ""},
		{"./exits", 1, "0 passed, 1 failed, 0 skipped", []string{"os.Exit(0)"}, ""},
		{"./main", 1, "1 passed, 1 failed, 0 skipped", []string{"a goroutine is left"}, ""},
		{"./silent", 1, "0 passed, 1 failed, 0 skipped", []string{"not one test ran"}, ""},
		{"./none", 1, "0 passed, 1 failed, 0 skipped", []string{"not one test ran"}, ""},
		{"./nonesuch", 1, "0 passed, 1 failed, 0 skipped", []string{"nonesuch"}, ""},
		{"-count=x ./pass", 2, "0 passed, 1 failed, 0 skipped", []string{"invalid value"}, ""},
	}
	for _, c := range cases {
		t.Run(c.packages, func(t *testing.T) {
			t.Parallel()
			s := step{name: "unit", tests: true, logs: t.TempDir()}
			s.command = append([]string{"go", "test", "-C", module, "-vet=off", "-json"}, strings.Fields(c.packages)...)
			out := check(t, &s, c.code, c.closing, c.says)
			if c.notSays != "" && strings.Contains(out, c.notSays) {
				t.Errorf("says %q, which is of no use:\n%s", c.notSays, out)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	cases := []struct {
		name    string
		command []string
		code    int
		closing string
		says    []string
	}{
		{"quiet when it passes", []string{"sh", "-c", "echo chatter; echo 0 issues."}, 0, "0 passed, 0 failed, 0 skipped", []string{"ok    0 issues."}},
		{"all is shown when it fails", []string{"sh", "-c", "echo first >&2; echo second; exit 7"}, 7, "0 passed, 1 failed, 0 skipped", []string{"FAIL", "first\nsecond"}},
		{"ended by a signal", []string{"sh", "-c", "kill -9 $$"}, 1, "0 passed, 1 failed, 0 skipped", []string{"signal: killed"}},
		{"no such command", []string{"./nonesuch"}, 1, "0 passed, 1 failed, 0 skipped", []string{"no such file"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := step{name: "lint", command: c.command, logs: t.TempDir()}
			check(t, &s, c.code, c.closing, c.says)
		})
	}
}

// A daemon that a test forgot holds the output open: the step must end all the same.
func TestDaemonLeftBehind(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := step{name: "lint", command: []string{"sh", "-c", "sleep 600 & echo $! >" + pidFile}, logs: t.TempDir()}
	check(t, &s, 0, "0 passed, 0 failed, 0 skipped", nil)
	if out, err := exec.Command("sh", "-c", "kill $(cat "+pidFile+")").CombinedOutput(); err != nil {
		t.Errorf("the daemon is gone: %v %s", err, out)
	}
}

func TestTotalAddsUpAllSteps(t *testing.T) {
	dir := t.TempDir()
	for name, res := range map[string]result{"unit": {passed: 312, skipped: 1}, "integration": {passed: 20, failed: 2}} {
		if err := res.save(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	code := printTotal(&out, dir)
	if want := "failed: integration\n332 passed, 2 failed, 1 skipped\n"; code != 1 || out.String() != want {
		t.Errorf("total = %d, %q, want 1, %q", code, out.String(), want)
	}
	if code := printTotal(&out, t.TempDir()); code == 0 {
		t.Error("the total of nothing ends with 0")
	}
}

func check(t *testing.T, s *step, code int, closing string, says []string) string {
	t.Helper()
	var report strings.Builder
	got, err := s.run(&report)
	if err != nil {
		t.Fatal(err)
	}
	out := report.String()
	if got != code {
		t.Errorf("exit status %d, want %d\n%s", got, code, out)
	}
	for _, want := range says {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	var total strings.Builder
	totalCode := printTotal(&total, s.logs)
	if got := lastLine([]byte(total.String())); got != closing {
		t.Errorf("closing line %q, want %q\n%s", got, closing, out)
	}
	if (totalCode == 0) != (code == 0) {
		t.Errorf("the step ends with %d, the total with %d", code, totalCode)
	}
	return out
}
