package integration

import (
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// What an operator does: enables the socket, puts the drop-in beside docker.service, and
// makes a host directory. docker pushes and pulls then, at a registry that wants a
// certificate, and across a restart of certproxy.
func TestDockerServicePullsThroughTheDropIn(t *testing.T) {
	t.Parallel()
	rig.Need(t, "dockerd", "docker")
	m, id, _ := bootService(t, func(root string) {
		const unit = "etc/systemd/system/docker.service.d/"
		rig.Write(t, root, unit+"certproxy.conf", rig.Read(t, "../systemd/drop-ins/docker.conf"), 0o644)
		// A container has neither bridges nor overlays to give.
		rig.Write(t, root, unit+"container.conf", []byte("[Unit]\nRequires=\n[Service]\nExecStart=\n"+
			"ExecStart=/usr/sbin/dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs --host=unix:///run/docker.sock\n"), 0o644)
	})
	registry := rig.RegistryIn(t, m.Network, id, "")
	list(t, m, id, hostOf(registry))
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket")
	m.OK(t, "systemctl", "start", "docker.service")

	image := rig.NewImage(t, m.Root+"/root", 4<<20)
	ref := hostOf(registry) + "/some/image:1"
	docker := func(args ...string) rig.Result {
		t.Helper()
		return m.Run(t, append([]string{"docker", "--host", "unix:///run/docker.sock"}, args...)...)
	}
	if r := docker("import", strings.TrimPrefix(image.Tar, m.Root), ref); r.Exit != 0 {
		t.Fatalf("docker import: %s", r.Stderr)
	}
	if r := docker("push", ref); r.Exit != 0 {
		t.Fatalf("docker push: %s%s", r.Stdout, r.Stderr)
	}
	pushed := docker("inspect", "--format", "{{index .RepoDigests 0}}", ref).Stdout
	docker("rmi", ref)
	m.OK(t, "systemctl", "restart", "certproxy")
	if r := docker("pull", ref); r.Exit != 0 {
		t.Fatalf("docker pull: %s%s", r.Stdout, r.Stderr)
	}
	if pulled := docker("inspect", "--format", "{{index .RepoDigests 0}}", ref).Stdout; pulled != pushed || pushed == "" {
		t.Errorf("pushed %q, pulled %q", pushed, pulled)
	}
	log := m.OK(t, "journalctl", "-u", "certproxy", "-o", "cat")
	if !strings.Contains(log, `"host":"`+hostOf(registry)+`","method":"GET"`) || !strings.Contains(log, `"pair":"b"`) {
		t.Error("the pull did not go through certproxy")
	}
	// Without the drop-in it does not work.
	m.OK(t, "rm", "/etc/systemd/system/docker.service.d/certproxy.conf")
	m.OK(t, "systemctl", "daemon-reload")
	m.OK(t, "systemctl", "restart", "docker.service")
	docker("rmi", ref)
	if r := docker("pull", ref); r.Exit == 0 {
		t.Error("docker pulls without certproxy, too")
	}
}
