package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unit = "certproxy.service"

// systemd-analyze says nothing about a unit without faults. It ends with 0 although
// it found an unknown key, so a word from it is a failure too.
func TestUnitIsWithoutFault(t *testing.T) {
	if out, err := verify(t, read(t)); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestVerifySeesFaults(t *testing.T) {
	faults := map[string]string{
		"Restart=on-failure":                   "Restart=sometimes",
		"[Install]":                            "[Instal]",
		"StateDirectoryMode":                   "StateDirectoryModus",
		"ExecStart=/usr/bin/certproxy serve\n": "",
	}
	text := read(t)
	for from, to := range faults {
		if !strings.Contains(text, from) {
			t.Errorf("the unit has no %q", from)
		}
		if out, err := verify(t, strings.Replace(text, from, to, 1)); err == nil && out == "" {
			t.Errorf("systemd-analyze verify finds nothing wrong with %q", to)
		}
	}
}

// verify runs systemd-analyze over the text of a unit. It wants every program of a
// unit to be there, so an empty one stands in for /usr/bin/certproxy.
func verify(t *testing.T, text string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("PREREQUISITE MISSING: %v; install the package systemd", err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "certproxy")
	if err := os.WriteFile(binary, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, unit)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/bin/certproxy", binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	return string(out), err
}

func read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
