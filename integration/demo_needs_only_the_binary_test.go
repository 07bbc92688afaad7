package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// certproxy demo shows the whole promise with the binary alone: no program in
// PATH, nothing in HOME, nothing left behind.
func TestDemoNeedsOnlyTheBinary(t *testing.T) {
	t.Parallel()
	home, tmp := t.TempDir(), t.TempDir()
	demo := exec.Command(rig.Binary(t), "demo")
	demo.Env = []string{"PATH=/nonexistent", "HOME=" + home, "TMPDIR=" + tmp}
	demo.Dir = home
	start := time.Now()
	out, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("certproxy demo: %v\n%s", err, out)
	}
	took := time.Since(start)
	t.Logf("the demo took %v", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the demo took %v; promised are ten seconds", took)
	}
	for _, want := range []string{"403", "200"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo never shows %s:\n%s", want, out)
		}
	}
	for _, dir := range []string{home, tmp} {
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("the demo left %v in %s", left, dir)
		}
	}
}
