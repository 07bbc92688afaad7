package integration

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// One pair may pull and another push, nginx sees to that by the certificate's name.
// Both work, in whichever order the pairs are tried: also where the one that pushes
// may not even look, so that its 403 is before or after the registry's own 404.
func TestPullAndPushWorkWithDifferentPairs(t *testing.T) {
	t.Parallel()
	rig.Need(t, "skopeo")
	orders := []struct{ host, a, b string }{
		{"reader-then-writer.example.test", "reader", "writer"},
		{"writer-then-reader.example.test", "writer", "reader"},
		{"reader-then-depositor.example.test", "reader", "depositor"},
		{"depositor-then-reader.example.test", "depositor", "reader"},
	}
	names := []string{name}
	for _, o := range orders {
		names = append(names, o.host)
	}
	s := rig.NginxRegistryRoles(t, rig.NewIdentities(t, names...))
	pairs := map[string]*throwaway.Certificate{}
	for _, role := range []string{"reader", "writer", "depositor"} {
		pairs[role] = s.CA.Issue(throwaway.Options{Name: role})
		pairs[role].WritePair(s.Identities.Dir, role)
	}
	for _, c := range []struct {
		role       string
		head, post int
	}{{"reader", 404, 403}, {"writer", 404, 202}, {"depositor", 403, 202}} {
		curl := s.Direct()
		curl.Pair = s.Pair(c.role)
		if got := curl.Do(t, "https://"+hostOf(s)+"/v2/some/blobs/"+missing, "--head"); got.Status != c.head {
			t.Errorf("%s asks for a blob that is not there, without certproxy: %v; want %d", c.role, got, c.head)
		}
		if got := curl.Do(t, "https://"+hostOf(s)+"/v2/some/blobs/uploads/", "--request", "POST"); got.Status != c.post {
			t.Errorf("%s begins an upload, without certproxy: %v; want %d", c.role, got, c.post)
		}
	}

	certs := rig.Dir(t)
	for _, o := range orders {
		s.HostDir(certs, fmt.Sprintf("%s:%d", o.host, s.Port), pairs[o.a], pairs[o.b])
	}
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: names})
	image := rig.NewImage(t, t.TempDir(), 3<<20)
	for _, o := range orders {
		t.Run(o.a+" then "+o.b, func(t *testing.T) {
			t.Parallel()
			host := fmt.Sprintf("%s:%d", o.host, s.Port)
			missingIsNotFound(t, proxy, host)
			pushAndPull(t, proxy, host+"/"+o.a+"/"+o.b, image)
			missingIsNotFound(t, proxy, host)
		})
	}
}

// missing is the digest of a blob that no registry has.
const missing = "sha256:0123456789012345678901234567890123456789012345678901234567890123"

// missingIsNotFound asks for what is not there, as each push begins: the answer is
// the registry's own 404, with its words.
func missingIsNotFound(t *testing.T, proxy *rig.Certproxy, host string) {
	t.Helper()
	for _, http := range []string{"--http1.1", "--http2"} {
		curl := rig.Curl{Proxy: proxy, Args: []string{http}}
		for _, path := range []string{"/v2/some/blobs/" + missing, "/v2/some/manifests/none"} {
			head := curl.Do(t, "https://"+host+path, "--head")
			if head.Status != 404 || head.Header.Get("Docker-Distribution-Api-Version") == "" {
				t.Errorf("%s HEAD %s: %v, %v; want the registry's 404", http, path, head, head.Header)
			}
			get := curl.Do(t, "https://"+host+path)
			if get.Status != 404 || !strings.Contains(string(get.Body), "_UNKNOWN") {
				t.Errorf("%s GET %s: %v; want the registry's 404", http, path, get)
			}
		}
	}
}

// pushAndPull pushes with crane and pulls with skopeo, and the other way round.
func pushAndPull(t *testing.T, proxy *rig.Certproxy, repository string, image *rig.Image) {
	t.Helper()
	env, dir := throughProxyEnv(t, proxy), t.TempDir()
	run := func(args ...string) {
		t.Helper()
		rig.OK(t, rig.Command{Args: args, Env: env})
	}
	byCrane, bySkopeo := repository+"/crane:1", repository+"/skopeo:1"
	run(crane(), "push", image.Dir, byCrane)
	run("skopeo", "--insecure-policy", "copy", "oci:"+image.Dir, "docker://"+bySkopeo)
	run("skopeo", "--insecure-policy", "copy", "docker://"+byCrane, "dir:"+filepath.Join(dir, "skopeo"))
	run(crane(), "pull", "--format", "oci", bySkopeo, filepath.Join(dir, "crane"))
	for _, file := range []string{
		filepath.Join(dir, "skopeo", strings.TrimPrefix(image.Layer.Digest, "sha256:")),
		filepath.Join(dir, "crane/blobs/sha256", strings.TrimPrefix(image.Layer.Digest, "sha256:")),
	} {
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256(rig.Read(t, file))); got != image.Layer.Digest {
			t.Errorf("the layer came back as %s; it was %s", got, image.Layer.Digest)
		}
	}
}
