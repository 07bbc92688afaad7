package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/certproxy/certproxy/integration/rig"
)

// What docs/ has people do, with docker, podman and the like, is done here, word for
// word: each block that is marked in the page runs on a booted machine.

// A workshop is a machine as the recipes take it for granted: certproxy is installed, a
// registry wants certificates, and the directory has pairs for it, of which the first
// has expired.
type workshop struct {
	*rig.Machine
	*rig.Identities
}

const (
	recipeHost  = "registry.example:5000"
	recipeImage = recipeHost + "/team/app:1.2"
)

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	rig.Need(t, "skopeo")
	id := rig.NewIdentities(t, "registry.example")
	// Of no loopback network, on which dockerd verifies nothing.
	const address = "192.0.2.1"
	w := &workshop{Identities: id, Machine: rig.Boot(t, func(root string) {
		rig.Write(t, root, "usr/bin/certproxy", rig.Read(t, rig.Binary(t)), 0o755)
		rig.Write(t, root, "etc/systemd/system/certproxy.service", rig.Read(t, "../systemd/certproxy.service"), 0o644)
		rig.Write(t, root, "etc/hosts", []byte("127.0.0.1 localhost\n"+address+" registry.example\n"), 0o644)
		for _, pair := range []struct {
			name      string
			cert, key []byte
		}{{"team-a", id.Expired.ChainPEM(), id.Expired.KeyPEM()}, {"team-b", id.Good.ChainPEM(), id.Good.KeyPEM()}} {
			rig.Write(t, root, "root/"+pair.name+".cert", pair.cert, 0o644)
			rig.Write(t, root, "root/"+pair.name+".key", pair.key, 0o600)
		}
		rig.Write(t, root, "root/ca.crt", id.CA.CertPEM(), 0o644)
		for _, dir := range []string{"etc/docker/certs.d", "etc/containers/certs.d", "etc/certproxy/certs.d"} {
			if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
				t.Fatal(err)
			}
		}
	})}
	for _, images := range []string{"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd"} {
		// Their layers can lie on no overlay.
		w.OK(t, "sh", "-c", `mkdir -p "$0" && mount -t tmpfs tmpfs "$0"`, images)
	}
	w.OK(t, "useradd", "--system", "--user-group", "certproxy")
	w.OK(t, "systemctl", "start", "certproxy.service")
	w.OK(t, "sh", "-c", `until journalctl -u certproxy -o cat | grep -q '"msg":"listening"'; do sleep 0.05; done`)
	w.OK(t, "ip", "address", "add", address+"/32", "dev", "lo")
	rig.RegistryAt(t, w.Network, address, 5000, id)

	image := rig.NewImage(t, rig.Dir(t), 1<<20)
	if err := os.CopyFS(filepath.Join(w.Root, "srv/image"), os.DirFS(image.Dir)); err != nil {
		t.Fatal(err)
	}
	id.HostDir(filepath.Join(w.Root, "srv/certs.d"), recipeHost, id.Good)
	w.OK(t, "certproxy", "exec", "--certs", "/srv/certs.d", "--", "skopeo", "--insecure-policy", "copy", "-q", "oci:/srv/image", "docker://"+recipeImage)
	return w
}

// root follows a recipe as root.
func root() []string { return []string{"env", "HOME=/root"} }

func TestRecipeOfDockerWorksWordForWord(t *testing.T) {
	t.Parallel()
	rig.Need(t, "dockerd", "docker")
	w := newWorkshop(t)
	w.OK(t, "systemctl", "start", "docker.service")
	w.Follow(t, rig.Steps(t, "../docs/docker.md"), root()...)
}

func TestRecipeOfPodmanWorksWordForWord(t *testing.T) {
	t.Parallel()
	rig.Need(t, "podman", "buildah")
	newWorkshop(t).Follow(t, rig.Steps(t, "../docs/podman.md"), root()...)
}

func TestRecipeOfContainerdWorksWordForWord(t *testing.T) {
	t.Parallel()
	rig.Need(t, "containerd", "ctr")
	w := newWorkshop(t)
	w.OK(t, "systemctl", "start", "containerd.service")
	steps := rig.Steps(t, "../docs/containerd.md")
	daemon := slices.IndexFunc(steps, func(s rig.Step) bool { return strings.HasPrefix(s.Script, "ctr images pull") })
	if err := pullByCRI(t, w.Machine, recipeImage); err == nil {
		t.Error("the daemon pulls without certproxy")
	}
	w.Follow(t, steps[:daemon], root()...)
	if err := pullByCRI(t, w.Machine, recipeImage); err != nil {
		t.Errorf("crictl pull %s: %v", recipeImage, err)
	}
	w.Follow(t, steps[daemon:], root()...)

	// All is undone. The drop-in of the package does without the system's store.
	if err := pullByCRI(t, w.Machine, recipeImage); err == nil {
		t.Error("the daemon still pulls when all is undone")
	}
	rig.Write(t, w.Root, "etc/systemd/system/containerd.service.d/certproxy.conf", rig.Read(t, "../systemd/drop-ins/containerd.conf"), 0o644)
	w.OK(t, "systemctl", "daemon-reload")
	w.OK(t, "systemctl", "restart", "containerd")
	if err := pullByCRI(t, w.Machine, recipeImage); err != nil {
		t.Errorf("with the drop-in of the package: %v", err)
	}
}

func TestRecipeOfCIWorksWordForWord(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.OK(t, "systemctl", "stop", "certproxy.service") // it needs none
	// systemd removes what PrivateTmp= has made a moment after the service has stopped.
	w.OK(t, "sh", "-c", `while ls -d /tmp/systemd-private-*-certproxy.service-* /var/tmp/systemd-private-*-certproxy.service-* >/dev/null 2>&1; do sleep 0.05; done`)
	w.OK(t, "useradd", "--create-home", "ci")
	// skopeo has a cache of its own.
	find := []string{"find", "/home/ci", "/tmp", "/var/tmp", "/run/user", "-path", "/home/ci/.local", "-prune", "-o", "-print"}
	before := w.OK(t, find...)
	w.Follow(t, rig.Steps(t, "../docs/ci.md"), "setpriv", "--reuid", "ci", "--regid", "ci", "--init-groups", "env", "HOME=/home/ci", "CI_COMMIT=0a1b2c",
		"CLIENT_CERT="+string(w.Good.ChainPEM()), "CLIENT_KEY="+string(w.Good.KeyPEM()), "REGISTRY_CA="+string(w.CA.CertPEM()))
	if after := w.OK(t, find...); after != before {
		t.Errorf("before the job there was\n%s\nand after it\n%s", before, after)
	}
	w.OK(t, "sh", "-c", "! find /home/ci/.local -path '*certproxy*' | grep .")
}

// pullByCRI has containerd pull as the kubelet, and crictl, have it: by the service
// runtime.v1.ImageService of Kubernetes' container runtime interface.
func pullByCRI(t *testing.T, m *rig.Machine, image string) error {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+m.Path("/run/containerd/containerd.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	field := func(value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), value)
	}
	// PullImageRequest{image: ImageSpec{image: ...}}, and PullImageResponse{image_ref: ...}
	request, answer := raw(field(field([]byte(image)))), raw(nil)
	err = conn.Invoke(ctx, "/runtime.v1.ImageService/PullImage", &request, &answer, grpc.ForceCodec(rawCodec{}), grpc.WaitForReady(true))
	if err == nil && len(answer) == 0 {
		err = errors.New("an empty answer")
	}
	return err
}

// raw is a message that is encoded already.
type raw []byte

type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*raw), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*raw) = slices.Clone(data)
	return nil
}

func (rawCodec) Name() string { return "proto" }
