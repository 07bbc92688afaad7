package integration

import (
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// The rpm on a machine whose other packages rpm knows nothing of: --nodeps.
func rpmComesAndGoes(t *testing.T, p *packager) {
	rig.Need(t, "rpm")
	dir := rig.Dir(t)
	first := p.pack(t, "v1.0.0", rig.Binary(t), dir, "rpm")[0]
	second := p.pack(t, "v1.1.0", rig.Binary(t), dir, "rpm")[0]
	m := machineWith(t, first, second)
	before := traces(t, m)

	expectContains(t, "the rpm", m.OK(t, "rpm", "--query", "--package", "--requires", "--configfiles", inTmp(first)), "systemd", "shadow-utils", "/etc/certproxy/config.yaml")
	m.OK(t, "rpm", "--nodeps", "--install", inTmp(first))
	in := newInstallation(t, m)
	in.wantUnit(t, "installed", "disabled inactive")
	if got := m.OK(t, "stat", "-c", "%a %U %G", "/etc/certproxy/certs.d"); got != "750 root certproxy\n" {
		t.Errorf("certs.d is %q", got)
	}
	m.OK(t, "systemctl", "enable", "--now", "certproxy.service")
	in.works(t)

	const edit = "connect_timeout: 7s"
	m.OK(t, "sh", "-c", "echo '"+edit+"' >>/etc/certproxy/config.yaml")
	old := in.pid(t)
	m.OK(t, "rpm", "--nodeps", "--upgrade", inTmp(second))
	in.wantUnit(t, "upgraded", "enabled active")
	if in.pid(t) == old {
		t.Error("the upgrade left the old process running")
	}
	in.works(t)
	expectContains(t, "config.yaml after the upgrade", m.OK(t, "cat", "/etc/certproxy/config.yaml"), edit)

	m.OK(t, "rpm", "--nodeps", "--erase", "certproxy")
	if r := m.Run(t, "pgrep", "-x", "certproxy"); r.Exit == 0 {
		t.Errorf("after the removal certproxy runs, as %s", r.Stdout)
	}
	expectContains(t, "config.yaml.rpmsave", m.OK(t, "cat", "/etc/certproxy/config.yaml.rpmsave"), edit)
	// rpm knows no purge: what docs/packages.md says to do for it.
	m.OK(t, "rm", "-r", "/etc/certproxy", "/var/lib/certproxy")
	m.OK(t, "userdel", "certproxy")
	if got := traces(t, m); got != before {
		t.Errorf("the removal leaves\n%s\nbefore the installation there was\n%s", got, before)
	}
}
