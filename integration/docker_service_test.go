package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// A dockerHost is a machine with docker.service, on which the deb is used. Its registries
// are on no loopback network: dockerd verifies nothing there, and goes around proxies.
type dockerHost struct{ *rig.Machine }

const (
	dockerHostAddress = "192.0.2.1"
	largeSize         = 24 << 20         // of a layer that takes four seconds
	drainTimeout      = 25 * time.Second // of certproxy
)

// bootDockerHost boots it with files in /var/tmp.
func bootDockerHost(t *testing.T, files ...string) *dockerHost {
	t.Helper()
	rig.Need(t, "dockerd", "docker")
	m := &dockerHost{machineWith(t, files...)}
	m.OK(t, "ip", "address", "add", dockerHostAddress+"/32", "dev", "lo")
	m.write(t, "etc/hosts", "127.0.0.1 localhost\n"+dockerHostAddress+" "+name+"\n")
	m.OK(t, "rm", "-rf", "/etc/docker/certs.d")
	// A container has neither bridges nor overlays to give.
	m.write(t, "etc/systemd/system/docker.service.d/container.conf", "[Unit]\nRequires=\n[Service]\nExecStart=\n"+
		"ExecStart=/usr/sbin/dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs --host=unix:///run/docker.sock\n")
	return m
}

func (m *dockerHost) write(t *testing.T, path, text string) {
	t.Helper()
	rig.Write(t, m.Root, path, []byte(text), 0o644)
}

func (m *dockerHost) docker(t *testing.T, args ...string) rig.Result {
	t.Helper()
	return m.Run(t, append([]string{"docker", "--host", "unix:///run/docker.sock"}, args...)...)
}

func (m *dockerHost) dockerOK(t *testing.T, args ...string) string {
	t.Helper()
	r := m.docker(t, args...)
	if r.Exit != 0 {
		t.Fatalf("docker %q: exit status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// digest is what docker says an image is, whether it was pushed or pulled.
func (m *dockerHost) digest(t *testing.T, ref string) string {
	t.Helper()
	return m.dockerOK(t, "inspect", "--format", "{{index .RepoDigests 0}}", ref)
}

// hostDir writes a directory of /etc/docker/certs.d as an operator does who leaves the
// groups to the directory above.
func (m *dockerHost) hostDir(t *testing.T, id *rig.Identities, host string) {
	t.Helper()
	id.HostDir(filepath.Join(m.Root, "root/new"), host, id.Expired, id.Good)
	m.OK(t, "sh", "-euc", `umask 022; mkdir -p "/etc/docker/certs.d/$0"; cd "/root/new/$0"
		for f in *; do install -m 0640 "$f" "/etc/docker/certs.d/$0/$f"; done`, host)
}

// What an operator does, in this order: installs the deb, enables the socket, copies the
// drop-in, and has docker push and pull at a registry that wants a certificate. A restart
// in the middle of a pull, a host added later and a proxy that hangs need nothing of the
// operator; and a purge leaves nothing.
func debServesDocker(t *testing.T, p *packager) {
	deb := p.pack(t, "v1.0.0", rig.Binary(t), rig.Dir(t), "deb")[0]
	m := bootDockerHost(t, deb)
	before := traces(t, m.Machine)
	id := rig.NewIdentities(t, name)
	registry := rig.NginxRegistrySlowAt(t, m.Network, dockerHostAddress, 5000, id)

	m.OK(t, "dpkg", "--install", inTmp(deb))
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket")
	m.hostDir(t, id, hostOf(registry))
	// As docs/systemd.md says.
	m.OK(t, "sh", "-euc", `chgrp -R certproxy /etc/docker/certs.d && chmod -R g+rX /etc/docker/certs.d
		find /etc/docker/certs.d -type d -exec chmod g+s {} +
		mkdir -p /etc/systemd/system/docker.service.d
		cp /usr/share/doc/certproxy/drop-ins/docker.conf /etc/systemd/system/docker.service.d/certproxy.conf
		systemctl daemon-reload && systemctl restart docker`)

	image := rig.NewImage(t, filepath.Join(m.Root, "root"), largeSize)
	large, small := hostOf(registry)+"/some/large:1", hostOf(registry)+"/some/small:1"
	m.dockerOK(t, "import", strings.TrimPrefix(image.Tar, m.Root), large)
	m.OK(t, "tar", "-C", "/etc", "-cf", "/root/small.tar", "hostname")
	m.dockerOK(t, "import", "/root/small.tar", small)
	pushed := map[string]string{}
	for _, ref := range []string{large, small} {
		m.dockerOK(t, "push", ref)
		pushed[ref] = m.digest(t, ref)
		m.dockerOK(t, "rmi", ref)
	}
	m.pullsAcrossARestart(t, registry, large, small)
	for ref, want := range pushed {
		if got := m.digest(t, ref); got != want {
			t.Errorf("pushed %q, pulled %q", want, got)
		}
	}
	if log := m.Journal(t, "certproxy"); !strings.Contains(log, `"host":"`+hostOf(registry)+`","method":"GET"`) || !strings.Contains(log, `"pair":"b"`) {
		t.Error("the pull did not go through certproxy")
	}

	m.takesANewHost(t, id, small)
	m.isHealed(t, small)

	// Without the drop-in it does not work.
	m.OK(t, "rm", "/etc/systemd/system/docker.service.d/certproxy.conf")
	m.OK(t, "systemctl", "daemon-reload")
	m.OK(t, "systemctl", "restart", "docker")
	m.dockerOK(t, "rmi", small)
	if r := m.docker(t, "pull", small); r.Exit == 0 {
		t.Error("docker pulls without certproxy, too")
	}
	m.OK(t, "dpkg", "--purge", "certproxy")
	if got := traces(t, m.Machine); got != before {
		t.Errorf("the purge leaves\n%s\nbefore the installation there was\n%s", got, before)
	}
}

// pullsAcrossARestart pulls the large image while certproxy is restarted, which dockerd
// must not notice: the registry is asked for the layer once. Who comes meanwhile is
// served by the next process.
func (m *dockerHost) pullsAcrossARestart(t *testing.T, registry *rig.Server, large, small string) {
	t.Helper()
	old := show(t, m.Machine, "MainPID")
	pulls := make(chan rig.Result, 2)
	pull := func(ref string) {
		go func() { pulls <- m.docker(t, "pull", ref) }()
	}
	pull(large)
	const part = "/var/lib/docker/tmp/GetImageBlob*"
	arrived := func() (size int64) {
		files, _ := filepath.Glob(m.Path(part)) // the pattern is well formed
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				size += info.Size()
			}
		}
		return size
	}
	rig.Eventually(t, "the layer is on its way", func() bool { return arrived() > 1<<20 })
	m.OK(t, "systemctl", "restart", "--no-block", "certproxy")
	rig.Eventually(t, "the old process drains", func() bool { return show(t, m.Machine, "ActiveState") == "deactivating" })
	began := time.Now()
	pull(small)
	n := arrived()
	t.Logf("%d of %d MiB of the layer had arrived at the restart", n>>20, largeSize>>20)
	if n == 0 || n > largeSize-largeSize/8 {
		t.Error("the pull was not in flight")
	}
	for range cap(pulls) {
		if r := <-pulls; r.Exit != 0 {
			t.Errorf("docker pull during a restart: exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
		}
	}
	took := time.Since(began)
	t.Logf("both pulls ended %v after the restart", took.Round(time.Millisecond))
	if now := show(t, m.Machine, "MainPID"); now == old || now == "0" {
		t.Errorf("the process is %s, as before the restart", now)
	}
	if took > drainTimeout {
		t.Errorf("that is more than drain_timeout, %v", drainTimeout)
	}
	// What the first pair is refused is certproxy's way, and no second request of dockerd's.
	config := strings.TrimSpace(m.dockerOK(t, "inspect", "--format", "{{.Id}}", large))
	var layers []string
	for line := range strings.Lines(string(rig.Read(t, registry.AccessLog()))) {
		if strings.Contains(line, `"CN=good"`) && strings.Contains(line, " GET /v2/some/large/blobs/") && !strings.Contains(line, config) {
			layers = append(layers, strings.TrimSpace(line))
		}
	}
	t.Logf("the registry was asked for the layer: %q", layers)
	if len(layers) != 1 || !strings.HasPrefix(layers[0], "200 ") {
		t.Errorf("the registry was asked for the layer %d times; want once: dockerd asks again when it is cut off", len(layers))
	}
	if log := m.Journal(t, "certproxy"); strings.Contains(log, "cut") {
		t.Errorf("something was cut:\n%s", log)
	}
}

// takesANewHost shows that making the directory of another registry is all there is to do.
func (m *dockerHost) takesANewHost(t *testing.T, id *rig.Identities, image string) {
	t.Helper()
	other := rig.RegistryAt(t, m.Network, dockerHostAddress, 5001, id)
	ref := hostOf(other) + "/some/image:1"
	m.dockerOK(t, "tag", image, ref)
	if r := m.docker(t, "push", ref); r.Exit == 0 {
		t.Error("docker pushes to a host without a directory")
	}
	m.hostDir(t, id, hostOf(other))
	rig.Eventually(t, "the new host is known", func() bool { return strings.HasPrefix(show(t, m.Machine, "StatusText"), "2 hosts, 4 pairs; ") })
	m.dockerOK(t, "push", ref)
	m.dockerOK(t, "rmi", ref)
	m.dockerOK(t, "pull", ref)
}

// isHealed stops the process for good. With its watchdog at three seconds instead of
// thirty, for the sake of the test.
func (m *dockerHost) isHealed(t *testing.T, image string) {
	t.Helper()
	const dropIn = "run/systemd/system/certproxy.service.d/soon.conf"
	m.OK(t, "sh", "-euc", `mkdir -p "/${0%/*}"; printf '[Service]\nWatchdogSec=3s\n' >"/$0"; systemctl daemon-reload; systemctl restart certproxy`, dropIn)
	restarts, pid := show(t, m.Machine, "NRestarts"), show(t, m.Machine, "MainPID")
	m.OK(t, "kill", "-STOP", pid)
	rig.Eventually(t, "the watchdog has started another", func() bool {
		return show(t, m.Machine, "NRestarts") != restarts && show(t, m.Machine, "ActiveState") == "active"
	})
	if now := show(t, m.Machine, "MainPID"); now == pid {
		t.Errorf("process %s was stopped and is still there", pid)
	}
	if got := show(t, m.Machine, "NRestarts"); got != "1" {
		t.Errorf("NRestarts is %s; want 1", got)
	}
	m.OK(t, "rm", "-r", "/"+filepath.Dir(dropIn))
	m.dockerOK(t, "rmi", image)
	m.dockerOK(t, "pull", image)
}
