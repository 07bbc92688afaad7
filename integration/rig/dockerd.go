package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Dockerd is a real Docker daemon of its own, without networking for containers.
type Dockerd struct {
	etc    string // its /etc/docker
	socket string
	config string
}

// NewDockerd starts dockerd with the proxy as its HTTPS_PROXY, or without one (nil).
// It trusts the system's CAs only, see [Dockerd.Trust], and resolves no name that
// certproxy does.
func NewDockerd(t testing.TB, proxy *Certproxy) *Dockerd {
	t.Helper()
	Need(t, "dockerd", "docker")
	needNamespaces(t)
	dir := Dir(t)
	d := &Dockerd{
		etc:    filepath.Join(dir, "etc"),
		socket: "unix://" + filepath.Join(dir, "d.sock"),
		config: filepath.Join(dir, "config"),
	}
	if err := os.Mkdir(d.etc, 0o755); err != nil {
		t.Fatal(err)
	}
	script := `mkdir -p /etc/docker && mount --bind "$0" /etc/docker && exec "$@"`
	var env []string
	if proxy != nil {
		env = append(env, "HTTPS_PROXY="+proxy.URL())
	}
	Start(t, Process{
		Args: []string{
			"unshare", "--mount", "--propagation", "private", "sh", "-c", script, d.etc,
			"dockerd", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none",
			"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
			"--pidfile", filepath.Join(dir, "pid"), "--host", d.socket,
		},
		Env: env,
		Ready: func(string) bool {
			return Run(t, Command{Args: []string{"docker", "--host", d.socket, "info"}, Env: []string{"DOCKER_CONFIG=" + d.config}}).Exit == 0
		},
	}).name = "dockerd"
	return d
}

// Trust makes the daemon trust the CA for the registry, as its documentation says.
func (d *Dockerd) Trust(t testing.TB, host, caFile string) {
	t.Helper()
	Write(t, d.etc, filepath.Join("certs.d", host, "ca.crt"), Read(t, caFile), 0o644)
}

// Run runs a container until the test ends, and returns its id. args are those of
// docker run.
func (d *Dockerd) Run(t testing.TB, args ...string) (id string) {
	t.Helper()
	r := d.Docker(t, "", append([]string{"run", "--detach"}, args...)...)
	if r.Exit != 0 {
		t.Fatalf("docker run %q: exit status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
	}
	id = strings.TrimSpace(r.Stdout)
	t.Cleanup(func() {
		log := exec.Command("docker", "--host", d.socket, "logs", id)
		log.Env = Environment("DOCKER_CONFIG=" + d.config)
		if out, err := log.CombinedOutput(); t.Failed() {
			t.Logf("--- the container printed (%v):\n%s", err, tail(string(out)))
		}
		remove := exec.Command("docker", "--host", d.socket, "rm", "--force", "--volumes", id)
		remove.Env = log.Env
		if out, err := remove.CombinedOutput(); err != nil {
			t.Errorf("docker rm: %v: %s", err, out)
		}
	})
	return id
}

// Docker runs the docker command.
func (d *Dockerd) Docker(t testing.TB, input string, args ...string) Result {
	t.Helper()
	return Run(t, Command{
		Args:  append([]string{"docker", "--host", d.socket}, args...),
		Env:   []string{"DOCKER_CONFIG=" + d.config},
		Input: input,
	})
}
