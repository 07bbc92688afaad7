package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Beside nothing else: it moves gigabytes.
//
// crane, skopeo and dockerd push an image of 300 MB to a registry that wants a
// client certificate, for each way in which registries refuse one. Two pairs that
// are refused come before the good one. What the registry has then is the image,
// byte by byte.
func TestLargeImageIsPushedWhicheverWayBadPairsAreRefused(t *testing.T) {
	rig.Need(t, "skopeo")
	image := rig.NewImage(t, t.TempDir(), 300<<20)
	certs := rig.Dir(t)
	registries := largeImageRegistries(t, certs)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	dockerd := rig.NewDockerd(t, proxy)
	if r := dockerd.Docker(t, "", "import", image.Tar, "local/image:1"); r.Exit != 0 {
		t.Fatalf("docker import: %s", r.Stderr)
	}
	push := map[string]func(t *testing.T, ref string) (digest string){
		"crane": func(t *testing.T, ref string) string {
			rig.OK(t, rig.Command{Args: []string{crane(), "push", image.Dir, ref}, Env: throughProxyEnv(t, proxy)})
			return image.Manifest.Digest
		},
		"skopeo": func(t *testing.T, ref string) string {
			args := []string{"skopeo", "--insecure-policy", "copy", "oci:" + image.Dir, "docker://" + ref}
			rig.OK(t, rig.Command{Args: args, Env: throughProxyEnv(t, proxy)})
			return image.Manifest.Digest
		},
		// dockerd compresses the layer again, which takes most of its time.
		"dockerd": func(t *testing.T, ref string) string {
			host, _, _ := strings.Cut(ref, "/")
			dockerd.Trust(t, host, proxy.CAFile)
			dockerd.Docker(t, "", "tag", "local/image:1", ref)
			r := dockerd.Docker(t, "", "push", ref)
			if r.Exit != 0 {
				t.Fatalf("docker push: exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
			}
			return digest(t, r.Stdout)
		},
	}
	for _, r := range registries {
		t.Run(r.refuses+"/"+r.client, func(t *testing.T) {
			t.Parallel()
			host := hostOf(r.server)
			ref := host + "/some/image:1"
			began := time.Now()
			want := push[r.client](t, ref)
			t.Logf("pushed in %v", time.Since(began).Round(time.Millisecond))
			got := rig.OK(t, rig.Command{Args: []string{crane(), "digest", ref}, Env: throughProxyEnv(t, proxy)})
			if strings.TrimSpace(got) != want {
				t.Errorf("through certproxy the registry has the image %s; pushed was %s", got, want)
			}
			hasImage(t, r.server, image, want)
			r.server.Empty(t) // nine of them would fill a small disk
			met := map[string]bool{}
			for _, l := range proxy.Lines("attempt failed") {
				if l.Text("host") == host {
					met[l.Text("pair")] = true
				}
			}
			if !met["a"] || !met["b"] {
				t.Errorf("attempts failed with the pairs %v; want a and b: nothing was shown", met)
			}
		})
	}
}

// A largeImageRegistry is there for one client alone, for a registry takes a layer
// that it has already without looking at it.
type largeImageRegistry struct {
	refuses, client string
	server          *rig.Server
}

// largeImageRegistries starts them, each with its host directory, and shows that
// each refuses the bad pairs without certproxy.
func largeImageRegistries(t *testing.T, certs string) []largeImageRegistry {
	t.Helper()
	var all []largeImageRegistry
	for _, mode := range []struct {
		refuses string
		start   func(testing.TB, *rig.Identities) *rig.Server
		refusal refusal
	}{
		{"nginx with 400", rig.NginxRegistryOn, refusal{status: 400}},
		{"nginx with 403", rig.NginxRegistryOptional, refusal{status: 403}},
		{"docker-registry with an alert", func(t testing.TB, id *rig.Identities) *rig.Server { return rig.Registry(t, id, "") },
			refusal{alert: "bad certificate"}},
	} {
		for _, client := range []string{"crane", "skopeo", "dockerd"} {
			id := rig.NewIdentities(t, name)
			s := mode.start(t, id)
			bad := []*throwaway.Certificate{id.Expired, id.Wrong}
			if mode.refusal.status == 403 { // for a certificate that verifies, and is not permitted
				bad = []*throwaway.Certificate{id.CA.Issue(throwaway.Options{Name: "stranger"}), id.CA.Issue(throwaway.Options{Name: "other"})}
			}
			for _, pair := range append(bad, nil) {
				isRefused(t, s, "/v2/", pair, mode.refusal)
			}
			s.HostDir(certs, hostOf(s), append(bad, id.Good)...)
			all = append(all, largeImageRegistry{mode.refuses, client, s})
		}
	}
	return all
}

// hasImage looks into the registry's storage: every blob is what its name says, the
// manifest is there, and so are the bytes of the layer.
func hasImage(t *testing.T, s *rig.Server, image *rig.Image, manifest string) {
	t.Helper()
	stored := s.Stored(t)
	var largest int64
	for _, size := range stored {
		largest = max(largest, size)
	}
	if _, ok := stored[manifest]; !ok {
		t.Errorf("the registry has the blobs %v, none of them the manifest %s", stored, manifest)
	}
	if manifest == image.Manifest.Digest && stored[image.Layer.Digest] != image.Layer.Size {
		t.Errorf("the registry has the blobs %v; want the layer %v", stored, image.Layer)
	}
	if largest < 300<<20 {
		t.Errorf("the registry's largest blob has %d bytes, fewer than the layer", largest)
	}
}

// isRefused shows what a certificate (nil: none) gets from the server without
// certproxy.
func isRefused(t *testing.T, s *rig.Server, path string, pair *throwaway.Certificate, want refusal) {
	t.Helper()
	if want.alert != "" {
		if got := s.Alert(t, s.Port, pair); !strings.Contains(got, want.alert) {
			t.Errorf("without certproxy the server answers %q; want the alert %q", got, want.alert)
		}
		return
	}
	curl := s.Direct()
	if pair != nil {
		dir := t.TempDir()
		pair.WritePair(dir, "pair")
		curl.Pair = dir + "/pair"
	}
	if got := curl.Do(t, "https://"+hostOf(s)+path); got.Status != want.status {
		t.Errorf("without certproxy the server answers %v; want %d", got, want.status)
	}
}

// hostOf is the host, as certs.d and clients write it, of a server called name.
func hostOf(s *rig.Server) string { return fmt.Sprintf("%s:%d", name, s.Port) }
