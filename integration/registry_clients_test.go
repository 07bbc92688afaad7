package integration

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Two names of one registry: behind the first the good pair comes third.
const (
	thirdIsGood = "three.example.test"
	onlyGood    = "one.example.test"
)

// crane, skopeo and dockerd, none of which was told about a client certificate,
// push to and pull from a registry that demands one.
func TestRegistryClientsPushAndPull(t *testing.T) {
	t.Parallel()
	names := []string{thirdIsGood, onlyGood}
	s := rig.Registry(t, rig.NewIdentities(t, names...), "")
	certs := rig.Dir(t)
	at := func(name string) string { return fmt.Sprintf("%s:%d", name, s.Port) }
	s.HostDir(certs, at(thirdIsGood), s.Expired, s.Wrong, s.Good)
	s.HostDir(certs, at(onlyGood), s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: names})

	for _, name := range names {
		t.Run("crane/"+name, func(t *testing.T) {
			t.Parallel()
			cranePushesAndPulls(t, proxy, s, at(name))
		})
		t.Run("skopeo/"+name, func(t *testing.T) {
			t.Parallel()
			skopeoPushesAndPulls(t, proxy, s, at(name))
		})
	}
	t.Run("dockerd", func(t *testing.T) {
		t.Parallel()
		dockerd := rig.NewDockerd(t, proxy)
		for _, name := range names {
			dockerdPushesAndPulls(t, dockerd, proxy, at(name))
		}
	})
}

// throughProxyEnv is all that a client is told about certproxy.
func throughProxyEnv(t *testing.T, p *rig.Certproxy) []string {
	return []string{"HTTPS_PROXY=" + p.URL(), "SSL_CERT_FILE=" + p.CAFile, "HOME=" + t.TempDir()}
}

// withoutProxy is a client that resolves the registry and trusts it.
func withoutProxy(t *testing.T, s *rig.Server, args ...string) rig.Command {
	return rig.Command{
		Args:  args,
		Names: []string{thirdIsGood, onlyGood},
		Env:   []string{"SSL_CERT_FILE=" + s.CAFile(), "HOME=" + t.TempDir()},
	}
}

func crane() string { return os.Getenv("CRANE_BIN") }

// refusedFor is what Go clients print when the registry wants a certificate: its
// alert, or in TLS 1.3 sometimes only a dead connection.
var refusedFor = regexp.MustCompile(`remote error: tls: (bad certificate|certificate required)|connection reset|broken pipe|EOF`)

func cranePushesAndPulls(t *testing.T, proxy *rig.Certproxy, s *rig.Server, host string) {
	ref := host + "/crane/image:1"
	if r := rig.Run(t, withoutProxy(t, s, crane(), "digest", ref)); r.Exit == 0 || !refusedFor.MatchString(r.Stderr) {
		t.Errorf("crane without certproxy: exit %d, %q; want a refusal", r.Exit, r.Stderr)
	}
	env := throughProxyEnv(t, proxy)
	run := func(args ...string) string {
		return strings.TrimSpace(rig.OK(t, rig.Command{Args: append([]string{crane()}, args...), Env: env}))
	}
	dir := t.TempDir()
	layer := rig.Write(t, dir, "layer.tar", imageLayer(t), 0o644)
	pushed := run("append", "--new_layer", layer, "--new_tag", ref)
	_, digest, _ := strings.Cut(pushed, "@")
	if got := run("digest", ref); got != digest || digest == "" {
		t.Errorf("crane digest says %q after pushing %q", got, pushed)
	}
	pulled := filepath.Join(dir, "layout")
	run("pull", "--format", "oci", ref, pulled)
	if index := string(rig.Read(t, filepath.Join(pulled, "index.json"))); !strings.Contains(index, digest) {
		t.Errorf("crane pulled another image than %s: %s", digest, index)
	}
	exported := filepath.Join(dir, "exported.tar")
	run("export", ref, exported)
	if !bytes.Equal(content(t, rig.Read(t, exported)), content(t, rig.Read(t, layer))) {
		t.Error("the file in the pulled image differs from the one pushed")
	}
}

func skopeoPushesAndPulls(t *testing.T, proxy *rig.Certproxy, s *rig.Server, host string) {
	rig.Need(t, "skopeo")
	ref := "docker://" + host + "/skopeo/image:1"
	if r := rig.Run(t, withoutProxy(t, s, "skopeo", "inspect", ref)); r.Exit == 0 || !refusedFor.MatchString(r.Stderr) {
		t.Errorf("skopeo without certproxy: exit %d, %q; want a refusal", r.Exit, r.Stderr)
	}
	env := throughProxyEnv(t, proxy)
	dir := t.TempDir()
	layer := rig.Write(t, dir, "layer.tar", imageLayer(t), 0o644)
	image := filepath.Join(dir, "image.tar")
	rig.OK(t, rig.Command{Args: []string{crane(), "append", "--new_layer", layer, "--new_tag", "local/image:1", "--output", image}})

	run := func(args ...string) string {
		return strings.TrimSpace(rig.OK(t, rig.Command{Args: append([]string{"skopeo", "--insecure-policy"}, args...), Env: env}))
	}
	run("copy", "docker-archive:"+image, ref)
	pushed := run("inspect", "--format", "{{.Digest}}", ref)
	run("copy", ref, "dir:"+filepath.Join(dir, "pulled"))
	if got := run("manifest-digest", filepath.Join(dir, "pulled", "manifest.json")); got != pushed || got == "" {
		t.Errorf("skopeo pulled %q; pushed %q", got, pushed)
	}
	if r := rig.OK(t, rig.Command{Args: []string{crane(), "digest", host + "/skopeo/image:1"}, Env: env}); strings.TrimSpace(r) != pushed {
		t.Errorf("crane finds digest %q where skopeo pushed %q", r, pushed)
	}
}

func dockerdPushesAndPulls(t *testing.T, d *rig.Dockerd, proxy *rig.Certproxy, host string) {
	ref := host + "/dockerd/image:1"
	run := func(args ...string) string {
		t.Helper()
		r := d.Docker(t, "", args...)
		if r.Exit != 0 {
			t.Fatalf("docker %q: exit status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
		}
		return r.Stdout
	}
	if r := d.Docker(t, string(imageLayer(t)), "import", "-", ref); r.Exit != 0 {
		t.Fatalf("docker import: %s", r.Stderr)
	}
	// Were the daemon able to resolve the name to 127.0.0.1, it would verify nothing.
	untrusted := d.Docker(t, "", "push", ref)
	if untrusted.Exit == 0 || !strings.Contains(untrusted.Stderr, "x509: certificate signed by unknown authority") {
		t.Errorf("push without trusting certproxy's CA: exit %d, %q; want x509: certificate signed by unknown authority", untrusted.Exit, untrusted.Stderr)
	}
	d.Trust(t, host, proxy.CAFile)
	pushed := digest(t, run("push", ref))
	before := run("image", "inspect", "--format", "{{.Id}}", ref)
	run("rmi", ref)
	if pulled := digest(t, run("pull", ref)); pulled != pushed {
		t.Errorf("pulled %s; pushed %s", pulled, pushed)
	}
	if after := run("image", "inspect", "--format", "{{.Id}}", ref); after != before {
		t.Errorf("the image came back as %s; it was %s", after, before)
	}
	if got := rig.OK(t, rig.Command{Args: []string{crane(), "digest", ref}, Env: throughProxyEnv(t, proxy)}); strings.TrimSpace(got) != pushed {
		t.Errorf("crane finds digest %q where dockerd pushed %q", got, pushed)
	}
	run("rmi", ref)
}

// digest finds the digest in what docker push or pull prints.
func digest(t *testing.T, output string) string {
	t.Helper()
	d := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(output)
	if d == "" {
		t.Fatalf("docker printed no digest: %s", output)
	}
	return d
}

// imageLayer is a layer of one file with 3 MiB that no compression makes smaller,
// and that no other test has pushed.
func imageLayer(t *testing.T) []byte {
	t.Helper()
	data := make([]byte, 3<<20)
	var seed [32]byte
	copy(seed[:], t.Name())
	rand.NewChaCha8(seed).Read(data)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// content is what the only file of a tar archive holds.
func content(t *testing.T, archive []byte) []byte {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(archive))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
