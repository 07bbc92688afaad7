package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// The image beside an application, as its operator would run it: no user of the
// system's, nothing that can be written but the volume, no capability. Who shares its
// network reaches the host with a pair.
func TestImageIsASidecar(t *testing.T) {
	t.Parallel()
	image := buildImage(t)
	d := rig.NewDockerd(t, nil)
	docker := func(args ...string) string {
		t.Helper()
		r := d.Docker(t, "", args...)
		if r.Exit != 0 {
			t.Fatalf("docker %q: exit status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
		}
		return r.Stdout
	}
	docker("load", "--input", image)
	ref := "certproxy:v1.0.0-" + runtime.GOARCH
	if got := docker("run", "--rm", "--network", "none", ref, "version"); !strings.HasPrefix(got, "certproxy ") {
		t.Errorf("certproxy version in the image prints %q", got)
	}

	// The server joins the network of the sidecar, so its port is known only then.
	id := rig.NewIdentities(t, name)
	certs := rig.Dir(t)
	side := d.Run(t, "--network", "none", "--add-host", name+":127.0.0.1",
		"--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--volume", certs+":/etc/certproxy/certs.d:ro", ref)
	pid, err := strconv.Atoi(strings.TrimSpace(docker("inspect", "--format", "{{.State.Pid}}", side)))
	if err != nil || pid == 0 {
		t.Fatalf("the sidecar does not run: pid %d, %v", pid, err)
	}
	if status := string(rig.Read(t, filepath.Join("/proc", strconv.Itoa(pid), "status"))); !strings.Contains(status, "\nUid:\t65532\t65532\t65532\t65532\n") ||
		!strings.Contains(status, "\nCapBnd:\t0000000000000000\n") {
		t.Errorf("the sidecar runs as\n%s\nwant uid 65532 without capabilities", status)
	}
	network := rig.NetworkOf(pid)
	server := rig.NginxNamesIn(t, network, id)
	dir := server.HostDir(certs, hostOf(server), id.Expired, id.Good)
	rig.OK(t, rig.Command{Args: []string{"chown", "-R", "65532:65532", dir}})

	// curl stands for the application: in the network of the sidecar, and knowing no name.
	ca := filepath.Join(rig.Dir(t), "ca.crt")
	rig.Eventually(t, "the sidecar has made its CA", func() bool {
		return d.Docker(t, "", "exec", side, "/certproxy", "ca", "show").Exit == 0
	})
	rig.Write(t, "/", ca, []byte(docker("exec", side, "/certproxy", "ca", "show", "--pem")), 0o644)
	rig.Eventually(t, "the sidecar reaches the server with the good pair", func() bool {
		r := rig.Run(t, rig.Command{Args: network.Enter([]string{"curl", "-sS", "--noproxy", "", "--proxy", "http://127.0.0.1:3128", "--cacert", ca, "-w", " %{http_code}", "https://" + hostOf(server) + "/"})})
		return strings.HasSuffix(r.Stdout, "CN=good 200")
	})

	rig.Eventually(t, "docker finds the sidecar healthy", func() bool {
		return docker("inspect", "--format", "{{.State.Health.Status}}", side) == "healthy\n"
	})

	// Another container in its network sees it as well.
	r := d.Docker(t, "", "run", "--rm", "--network", "container:"+side, "--entrypoint", "/certproxy", ref, "serve", "--listen", "127.0.0.1:3128", "--admin", "off")
	if r.Exit != 1 || !strings.Contains(r.Stderr, "port is in use") {
		t.Errorf("a second one in the same network: exit status %d, %s; want 1, since the port is taken", r.Exit, r.Stderr)
	}
	if r := d.Docker(t, "", "exec", side, "/certproxy", "ca", "init", "--state", "/elsewhere"); r.Exit == 0 || !strings.Contains(r.Stderr, "read-only file system") {
		t.Errorf("writing beside the volume: exit status %d, %s; want a refusal", r.Exit, r.Stderr)
	}
	docker("stop", "--time", "10", side)
	if got := docker("inspect", "--format", "{{.State.ExitCode}}", side); got != "0\n" {
		t.Errorf("stopped, it ended with %s; want 0", got)
	}
}

// buildImage makes the image of both platforms, twice, and returns its file. That of
// the other platform has the same binary: nothing here runs it.
func buildImage(t *testing.T) string {
	t.Helper()
	dir := rig.Dir(t)
	tool := filepath.Join(dir, "image")
	goRun(t, "../packaging", "build", "-o", tool, "./image")
	var files []string
	for _, out := range []string{"image.tar", "again/image.tar"} {
		out = filepath.Join(dir, out)
		rig.OK(t, rig.Command{Args: []string{tool, "-version", "v1.0.0", "-healthcheck", "/certproxy status", "-out", out, "-top", "..", "amd64=" + rig.Binary(t), "arm64=" + rig.Binary(t)}, Env: []string{epoch}})
		files = append(files, out)
	}
	if !bytes.Equal(rig.Read(t, files[0]), rig.Read(t, files[1])) {
		t.Error("the image, built twice, differs")
	}
	isMultiPlatform(t, files[0])
	return files[0]
}

// isMultiPlatform asks a program that is not ours what the file holds.
func isMultiPlatform(t *testing.T, image string) {
	t.Helper()
	rig.Need(t, "skopeo")
	var index struct {
		Manifests []struct {
			Platform struct{ OS, Architecture string }
		}
	}
	raw := rig.OK(t, rig.Command{Args: []string{"skopeo", "inspect", "--raw", "oci-archive:" + image}})
	if err := json.Unmarshal([]byte(raw), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 2 || index.Manifests[0].Platform.Architecture != "amd64" || index.Manifests[1].Platform.Architecture != "arm64" {
		t.Errorf("skopeo finds %s; want amd64 and arm64", raw)
	}
	config := rig.OK(t, rig.Command{Args: []string{"skopeo", "inspect", "--config", "--override-arch", "arm64", "oci-archive:" + image}, Env: []string{"HOME=" + os.TempDir()}})
	for _, want := range []string{`"architecture":"arm64"`, `"User":"65532:65532"`} {
		if !strings.Contains(strings.ReplaceAll(config, `": `, `":`), want) {
			t.Errorf("the image's configuration has no %s:\n%s", want, config)
		}
	}
}
