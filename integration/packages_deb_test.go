package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// What an operator does with the deb in its life, and what is left of it: nothing.
func debComesAndGoes(t *testing.T, p *packager) {
	rig.Need(t, "dpkg", "dpkg-deb", "deb-systemd-helper")
	dir := rig.Dir(t)
	first := p.pack(t, "v1.0.0", rig.Binary(t), dir, "deb")[0]
	second := changedConffile(t, p.pack(t, "v1.1.0", rig.Binary(t), dir, "deb")[0])
	m := machineWith(t, first, second)
	before := traces(t, m)

	m.OK(t, "dpkg", "--install", inTmp(first))
	in := newInstallation(t, m)
	in.wantUnit(t, "installed", "disabled inactive")
	if got := m.OK(t, "stat", "-c", "%a %U %G", "/etc/certproxy/certs.d", "/etc/certproxy/config.yaml"); got != "750 root certproxy\n644 root root\n" {
		t.Errorf("certs.d and config.yaml are %q", got)
	}
	expectContains(t, "certproxy(1)", m.OK(t, "zcat", "/usr/share/man/man1/certproxy.1.gz"), "tries each pair", "ca init", ".SH SYNOPSIS")
	expectContains(t, "certproxy.yaml(5)", m.OK(t, "zcat", "/usr/share/man/man5/certproxy.yaml.5.gz"), "attempt_timeout")
	m.OK(t, "bash", "-n", "/usr/share/bash-completion/completions/certproxy")
	// --man=no: else it leaves a formatted page in the cache of man.
	r := m.Run(t, "systemd-analyze", "verify", "--man=no", "certproxy.service", "certproxy.socket")
	t.Logf("systemd-analyze verify: exit status %d, %d bytes of complaints\n%s%s", r.Exit, len(r.Stdout+r.Stderr), r.Stdout, r.Stderr)
	if r.Exit != 0 || r.Stdout+r.Stderr != "" {
		t.Error("systemd-analyze verify complains of what is installed")
	}

	m.OK(t, "systemctl", "enable", "--now", "certproxy.service")
	in.works(t)
	// As it runs, and not only as it is written: 1.5 of 10 at most.
	r = m.Run(t, "systemd-analyze", "security", "--no-pager", "--threshold=15", "certproxy.service")
	t.Logf("systemd-analyze security --threshold=15: exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	if r.Exit != 0 {
		t.Error("systemd-analyze security finds more exposure than 1.5")
	}
	authority := m.OK(t, "sha256sum", "/var/lib/certproxy/ca.crt", "/var/lib/certproxy/ca.key")

	// An upgrade keeps what was edited, and restarts what runs.
	const edit = "connect_timeout: 7s"
	m.OK(t, "sh", "-c", "echo '"+edit+"' >>/etc/certproxy/config.yaml; chmod 0700 /etc/certproxy/certs.d; chmod 0750 /etc/certproxy/certs.d")
	old := in.pid(t)
	m.OK(t, "dpkg", "--force-confdef", "--force-confold", "--install", inTmp(second))
	in.wantUnit(t, "upgraded", "enabled active")
	if in.pid(t) == old {
		t.Error("the upgrade left the old process running")
	}
	in.works(t)
	expectContains(t, "config.yaml after the upgrade", m.OK(t, "cat", "/etc/certproxy/config.yaml"), edit)
	expectContains(t, "config.yaml.dpkg-dist", m.OK(t, "cat", "/etc/certproxy/config.yaml.dpkg-dist"), changed)
	if got := m.OK(t, "sha256sum", "/var/lib/certproxy/ca.crt", "/var/lib/certproxy/ca.key"); got != authority {
		t.Errorf("after the upgrade the CA is\n%s; before\n%s", got, authority)
	}

	// What was stopped stays so.
	m.OK(t, "systemctl", "stop", "certproxy.service")
	m.OK(t, "dpkg", "--install", inTmp(second))
	in.wantUnit(t, "stopped and upgraded", "enabled inactive")
	m.OK(t, "systemctl", "start", "certproxy.service")

	// A removal stops it, and keeps what belongs to the operator.
	m.OK(t, "dpkg", "--remove", "certproxy")
	in.wantUnit(t, "removed", "masked inactive")
	if r := m.Run(t, "pgrep", "-x", "certproxy"); r.Exit == 0 {
		t.Errorf("after the removal certproxy runs, as %s", r.Stdout)
	}
	expectContains(t, "config.yaml after the removal", m.OK(t, "cat", "/etc/certproxy/config.yaml"), edit)
	m.OK(t, "test", "-e", "/var/lib/certproxy/ca.key", "-a", "-e", "/etc/certproxy/certs.d/"+in.host+"/b.key", "-a", "!", "-e", "/usr/bin/certproxy")

	// Installed again, it is what it was.
	m.OK(t, "dpkg", "--install", inTmp(second))
	in.wantUnit(t, "installed again", "enabled inactive")
	m.OK(t, "systemctl", "start", "certproxy.service")
	in.works(t)
	if got := m.OK(t, "sha256sum", "/var/lib/certproxy/ca.crt", "/var/lib/certproxy/ca.key"); got != authority {
		t.Error("installed again, it has made another CA")
	}

	// A purge leaves nothing, not even where DynamicUser= keeps state.
	m.OK(t, "install", "-D", "/dev/null", "/var/lib/private/certproxy/ca.key")
	m.OK(t, "dpkg", "--purge", "certproxy")
	if got := traces(t, m); got != before {
		t.Errorf("the purge leaves\n%s\nbefore the installation there was\n%s", got, before)
	}
	if got := m.OK(t, "sh", "-c", "find /etc /usr /var /run -xdev -nouser -o -xdev -nogroup | grep -v ^/var/tmp/ || true"); got != "" {
		t.Errorf("after the purge nobody owns\n%s", got)
	}
}

// changed is in the configuration of the second version alone, so that dpkg has to
// decide.
const changed = "# Of the second version."

// changedConffile returns the deb with another config.yaml.
func changedConffile(t *testing.T, deb string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	rig.OK(t, rig.Command{Args: []string{"dpkg-deb", "--raw-extract", deb, tree}})
	config := filepath.Join(tree, "etc/certproxy/config.yaml")
	rig.Write(t, "/", config, []byte(string(rig.Read(t, config))+changed+"\n"), 0o644)
	out := strings.TrimSuffix(deb, ".deb") + "-changed.deb"
	rig.OK(t, rig.Command{Args: []string{"dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, out}})
	return out
}
