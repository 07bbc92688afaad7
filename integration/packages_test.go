package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// The deb and the rpm, from the first installation to the last trace. They are made
// once for all that is shown of them.
func TestPackages(t *testing.T) {
	t.Parallel()
	p := newPackager(t, "..")
	t.Run("same bytes", func(t *testing.T) { t.Parallel(); sameBytes(t, p) })
	// One machine after the other: all on this one share 128 inotify instances.
	t.Run("installed", func(t *testing.T) {
		t.Parallel()
		t.Run("deb", func(t *testing.T) { debComesAndGoes(t, p) })
		t.Run("rpm", func(t *testing.T) { rpmComesAndGoes(t, p) })
	})
	t.Run("deb serves docker", func(t *testing.T) { t.Parallel(); debServesDocker(t, p) })
}

// A packager makes packages of a tree of the sources, as the Makefile does.
type packager struct{ top, tool, manual string }

func newPackager(t *testing.T, top string) *packager {
	t.Helper()
	dir := rig.Dir(t)
	p := &packager{top: top, tool: filepath.Join(dir, "package"), manual: filepath.Join(dir, "manual")}
	goRun(t, filepath.Join(top, "packaging"), "build", "-o", p.tool, "./package")
	goRun(t, top, "run", "-tags=manual", "./cmd/certproxy", p.manual)
	return p
}

// epoch is the time of the commit that the packages pretend to be of.
const epoch = "SOURCE_DATE_EPOCH=1767366245"

// goRun runs the go command, with the flags that the tests were built with.
func goRun(t *testing.T, dir string, args ...string) {
	t.Helper()
	runHere(t, dir, nil, append([]string{"go"}, args...)...)
}

// runHere runs a command in the environment of the tests, which the go command needs.
// What it compiles for the first time takes as long as it takes.
func runHere(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), epoch), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// pack makes packages of the binary, and returns their paths.
func (p *packager) pack(t *testing.T, version, binary, out string, packagers ...string) []string {
	t.Helper()
	args := []string{p.tool, "-top", p.top, "-version", version, "-arch", runtime.GOARCH, "-binary", binary, "-manual", p.manual, "-out", out}
	return strings.Fields(rig.OK(t, rig.Command{Args: append(args, packagers...), Env: []string{epoch}}))
}

// lintianIsContent holds the deb to Debian's own rules.
func lintianIsContent(t *testing.T, deb string) {
	t.Helper()
	rig.Need(t, "lintian")
	r := rig.Run(t, rig.Command{Args: []string{"lintian", "--allow-root", "--fail-on", "error,warning", deb}})
	if r.Exit != 0 || r.Stdout+r.Stderr != "" {
		t.Errorf("lintian: exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// machineWith boots a machine with files of this one in /var/tmp.
func machineWith(t *testing.T, files ...string) *rig.Machine {
	t.Helper()
	return rig.Boot(t, func(root string) {
		for _, file := range files {
			rig.Write(t, root, filepath.Join("var/tmp", filepath.Base(file)), rig.Read(t, file), 0o644)
		}
		rig.Write(t, root, "etc/hosts", []byte("127.0.0.1 localhost "+name+"\n"), 0o644)
		// Else each dpkg reads all manual pages of the machine again: it is what this file says.
		if err := os.Remove(filepath.Join(root, "var/lib/man-db/auto-update")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	})
}

// inTmp is where machineWith has put a file.
func inTmp(file string) string { return filepath.Join("/var/tmp", filepath.Base(file)) }

// An installation is a machine on which a package is used.
type installation struct {
	*rig.Machine
	host string // of a server that wants a client certificate
}

// newInstallation starts the server.
func newInstallation(t *testing.T, m *rig.Machine) *installation {
	t.Helper()
	server := rig.NginxNamesIn(t, m.Network, rig.NewIdentities(t, name))
	in := &installation{Machine: m, host: hostOf(server)}
	if got := m.OK(t, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-k", "https://"+in.host+"/"); got != "403" {
		t.Fatalf("without certproxy the server answers %s; want 403", got)
	}
	// The keys are for root and the group of the proxy, as docs/packages.md says.
	dir := server.HostDir(filepath.Join(m.Root, "etc/certproxy/certs.d"), in.host, server.Expired, server.Good)
	inside := strings.TrimPrefix(dir, m.Root)
	m.OK(t, "chgrp", "-R", "certproxy", inside)
	m.OK(t, "chmod", "-R", "u=rwX,g=rX,o=", inside)
	return in
}

// works shows that the server is reached with the good pair.
func (in *installation) works(t *testing.T) {
	t.Helper()
	in.OK(t, "sh", "-c", "until curl -s -o /dev/null http://127.0.0.1:3128/; do sleep 0.05; done")
	got := in.OK(t, "curl", "-sS", "--noproxy", "", "--proxy", "http://127.0.0.1:3128", "--cacert", "/var/lib/certproxy/ca.crt",
		"-w", " %{http_code}", "https://"+in.host+"/")
	if !strings.HasSuffix(got, "CN=good 200") {
		t.Errorf("through the installed certproxy the server answers %q; want the good pair's 200", got)
	}
}

// unit is what systemd says of certproxy.service: enabled and active, or not.
func (in *installation) unit(t *testing.T) string {
	t.Helper()
	enabled := strings.TrimSpace(in.Run(t, "systemctl", "is-enabled", "certproxy.service").Stdout)
	active := strings.TrimSpace(in.Run(t, "systemctl", "is-active", "certproxy.service").Stdout)
	return enabled + " " + active
}

func (in *installation) wantUnit(t *testing.T, when, want string) {
	t.Helper()
	if got := in.unit(t); got != want {
		t.Errorf("%s, certproxy.service is %s; want %s", when, got, want)
	}
}

// pid is the process of the service.
func (in *installation) pid(t *testing.T) string {
	t.Helper()
	return in.OK(t, "systemctl", "show", "--property=MainPID", "--value", "certproxy.service")
}

// traces is everything on the machine that bears our name: files, users, groups.
func traces(t *testing.T, m *rig.Machine) string {
	t.Helper()
	return m.OK(t, "sh", "-c", `find /etc /usr /var /run -xdev -name '*certproxy*' -not -path '/var/tmp/*' -not -path '/var/log/journal/*' | sort
		getent passwd | grep certproxy; getent group | grep certproxy
		systemctl list-unit-files --no-legend | grep certproxy; systemctl list-units --all --no-legend | grep -v not-found | grep certproxy; true`)
}

// expectContains fails unless text has each of the words.
func expectContains(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s has no %q:\n%s", what, w, text)
		}
	}
}
