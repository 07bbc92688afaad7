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
func TestUnitsAreWithoutFault(t *testing.T) {
	for _, name := range []string{unit, "certproxy.socket", "user/certproxy.service", "user/certproxy.socket"} {
		if out, err := verify(t, name, read(t, name)); err != nil || out != "" {
			t.Errorf("systemd-analyze verify %s: %v\n%s", name, err, out)
		}
	}
}

// A drop-in is verified as part of a unit that has nothing else.
func TestDropInsAreWithoutFault(t *testing.T) {
	dropIns, err := filepath.Glob("drop-ins/*.conf")
	if err != nil || len(dropIns) != 4 {
		t.Fatalf("%v, %v; want those of docker, containerd, podman and buildkit", dropIns, err)
	}
	for _, name := range dropIns {
		text := read(t, name) + "ExecStart=/usr/bin/certproxy\n"
		// Of the unit's own name: certproxy.service would wait for itself.
		if out, err := verify(t, strings.TrimSuffix(filepath.Base(name), ".conf")+".service", text); err != nil || out != "" {
			t.Errorf("systemd-analyze verify %s: %v\n%s", name, err, out)
		}
		where := "/etc/systemd/system/" + strings.TrimSuffix(filepath.Base(name), ".conf") + ".service.d/certproxy.conf"
		if !strings.Contains(text, where) {
			t.Errorf("%s does not say that it goes to %s", name, where)
		}
	}
}

// The exposure that systemd-analyze finds, from 0 to 10, times 10.
func TestTheServiceIsHardened(t *testing.T) {
	const most = "15"
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("PREREQUISITE MISSING: %v; install the package systemd", err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+most, unit).CombinedOutput()
	t.Logf("systemd-analyze security --threshold=%s %s: %v\n%s", most, unit, err, out)
	if err != nil {
		t.Errorf("systemd-analyze security: %v", err)
	}
	weak := strings.Replace(read(t, unit), "NoNewPrivileges=yes", "NoNewPrivileges=no", 1)
	weak = strings.Replace(weak, "SystemCallFilter=@system-service", "", 1)
	file := filepath.Join(t.TempDir(), unit)
	if err := os.WriteFile(file, []byte(weak), 0o644); err != nil {
		t.Fatal(err)
	}
	if exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+most, file).Run() == nil {
		t.Error("a unit that was weakened passes, too")
	}
}

func TestVerifySeesFaults(t *testing.T) {
	faults := map[string]string{
		"Restart=on-failure":                   "Restart=sometimes",
		"[Install]":                            "[Instal]",
		"StateDirectoryMode":                   "StateDirectoryModus",
		"ExecStart=/usr/bin/certproxy serve\n": "",
	}
	text := read(t, unit)
	for from, to := range faults {
		if !strings.Contains(text, from) {
			t.Errorf("the unit has no %q", from)
		}
		if out, err := verify(t, unit, strings.Replace(text, from, to, 1)); err == nil && out == "" {
			t.Errorf("systemd-analyze verify finds nothing wrong with %q", to)
		}
	}
}

// verify runs systemd-analyze over the text of a unit. It wants every program of a
// unit to be there, so an empty one stands in for /usr/bin/certproxy.
func verify(t *testing.T, name, text string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("PREREQUISITE MISSING: %v; install the package systemd", err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "certproxy")
	if err := os.WriteFile(binary, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, filepath.Base(name))
	// A socket is verified with its service.
	service := strings.TrimSuffix(file, ".socket") + ".service"
	if err := os.WriteFile(service, []byte("[Service]\nExecStart="+binary+"\n"), 0o644); file != service && err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/bin/certproxy", binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	t.Logf("systemd-analyze verify %s: %d bytes of complaints, %v\n%s", name, len(out), err, out)
	return string(out), err
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
