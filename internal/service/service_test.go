package service

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a directory that is a machine with the users given.
func machine(t *testing.T, users string) (m Machine, ran *[]string) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(users), 0o644); err != nil {
		t.Fatal(err)
	}
	ran = &[]string{}
	return Machine{Root: root, Run: func(args ...string) error {
		*ran = append(*ran, strings.ReplaceAll(strings.Join(args, " "), root, ""))
		return nil
	}}, ran
}

func do(t *testing.T, steps []Step, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if err := s.Do(); err != nil {
			t.Fatalf("%s: %v", s.Text, err)
		}
	}
}

func TestInstallAndUninstall(t *testing.T) {
	m, ran := machine(t, "root:x:0:0::/root:/bin/sh\n")
	steps, err := m.Install("/usr/local/bin/certproxy")
	if len(*ran) > 0 {
		t.Fatalf("a list of steps has run %q", *ran)
	}
	do(t, steps, err)
	unit, err := os.ReadFile(filepath.Join(m.Root, "etc/systemd/system/certproxy.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/local/bin/certproxy serve\n") || strings.Contains(string(unit), packaged) {
		t.Errorf("the unit: %v\n%s", err, unit)
	}
	want := []string{
		"useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin certproxy",
		"install -d -m 2750 -g certproxy /etc/certproxy/certs.d",
		"systemctl daemon-reload", "systemctl enable certproxy.service certproxy.socket", "systemctl start certproxy.socket", "systemctl restart certproxy.service",
	}
	if got := strings.Join(*ran, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("ran\n%s", got)
	}

	*ran = nil
	steps, err = m.Uninstall(false)
	do(t, steps, err)
	if got := strings.Join(*ran, "\n"); got != "systemctl disable --now certproxy.socket certproxy.service\nsystemctl daemon-reload" {
		t.Errorf("ran\n%s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(m.Root, "etc/systemd/system/*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	steps, err = m.Uninstall(false)
	if err != nil || len(steps) > 0 {
		t.Errorf("twice: %v, %v", steps, err)
	}
}

func TestWhatIsThereStays(t *testing.T) {
	m, ran := machine(t, "root:x:0:0::/root:/bin/sh\ncertproxy:x:990:990::/:/bin/sh\n")
	certs := filepath.Join(m.Root, "etc/certproxy/certs.d")
	state := filepath.Join(m.Root, "var/lib/certproxy")
	if err := errors.Join(os.MkdirAll(certs, 0o755), os.MkdirAll(state, 0o700)); err != nil {
		t.Fatal(err)
	}
	steps, err := m.Install("/usr/local/bin/certproxy")
	do(t, steps, err)
	if got := strings.Join(*ran, "\n"); strings.Contains(got, "useradd") || strings.Contains(got, "install -d") {
		t.Errorf("ran\n%s", got)
	}
	steps, err = m.Install("/usr/local/bin/certproxy") // again, as an upgrade
	do(t, steps, err)
	steps, err = m.Uninstall(true)
	do(t, steps, err)
	for _, dir := range []string{certs, state} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left after a purge", dir)
		}
	}
	if got := (*ran)[len(*ran)-1]; got != "userdel certproxy" {
		t.Errorf("the last step of a purge: %q", got)
	}
}

func TestUnitsOfOthersAreNotTouched(t *testing.T) {
	m, _ := machine(t, "")
	path := filepath.Join(m.Root, "etc/systemd/system/certproxy.socket")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("[Socket]\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() ([]Step, error){
		"install":   func() ([]Step, error) { return m.Install("/usr/local/bin/certproxy") },
		"uninstall": func() ([]Step, error) { return m.Uninstall(true) },
	} {
		if _, err := do(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestProgramsThatNoServiceCanStart(t *testing.T) {
	m, _ := machine(t, "")
	for _, program := range []string{"certproxy", "/tmp/go-build1/certproxy", "/home/me/certproxy", "/opt/my tools/certproxy", "/opt/%n/certproxy"} {
		if _, err := m.Install(program); err == nil || !strings.Contains(err.Error(), "/usr/local/bin") {
			t.Errorf("%s: %v", program, err)
		}
	}
}
