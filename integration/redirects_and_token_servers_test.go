package integration

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Where a pull leads: the registry, which wants a certificate and sends its clients
// for a token and, for blobs, to a storage server of somebody else.
const (
	tokenName   = "token.example.test"
	storageName = "storage.example.test"
)

// A token server gets the pair of its own directory and not the registry's, and a
// server that has no directory is offered nothing, wherever a redirect came from.
func TestEachHostOfAPullGetsItsOwnPairAndARedirectTargetNone(t *testing.T) {
	t.Parallel()
	image := rig.NewImage(t, t.TempDir(), 3<<20)
	theirs := rig.NewIdentities(t, name, tokenName)
	pair := func(name string) *throwaway.Certificate { return theirs.CA.Issue(throwaway.Options{Name: name}) }
	// Each would let in the pairs of both: which of them comes is up to certproxy.
	require := func() *tls.Config { return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert} }

	var tokens, registry, storage visitors
	tokenServer := rig.ServeTLS(t, theirs, require(), tokens.noting(serveToken))
	tokenHost := fmt.Sprintf("%s:%d", tokenName, tokenServer.Port)
	others := rig.NewIdentities(t, storageName)
	storageServer := rig.ServeTLS(t, others, &tls.Config{ClientAuth: tls.RequestClientCert}, storage.noting(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, image.File(filepath.Base(r.URL.Path)))
	}))
	registryServer := rig.ServeTLS(t, theirs, require(), registry.noting((&redirectingRegistry{
		image: image, realm: "https://" + tokenHost + "/token",
		storage: fmt.Sprintf("https://%s:%d/", storageName, storageServer.Port),
	}).ServeHTTP))
	host := hostOf(registryServer)
	for _, s := range []*rig.Server{registryServer, tokenServer} {
		isRefused(t, s, "/", nil, refusal{alert: "certificate required"})
	}

	certs := rig.Dir(t)
	theirs.HostDir(certs, host, pair("registry-a"), pair("registry-b"))
	theirs.HostDir(certs, tokenHost, pair("token-a"), pair("token-b"))
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name, tokenName, storageName}})

	dir := t.TempDir()
	trusted := rig.Write(t, dir, "trusted.pem", append(rig.Read(t, proxy.CAFile), rig.Read(t, others.CAFile())...), 0o644)
	rig.OK(t, rig.Command{
		Args: []string{crane(), "pull", "--format", "oci", host + "/some/image:1", filepath.Join(dir, "pulled")},
		Env:  []string{"HTTPS_PROXY=" + proxy.URL(), "SSL_CERT_FILE=" + trusted, "HOME=" + dir},
	})
	if _, err := os.Stat(filepath.Join(dir, "pulled/blobs/sha256", strings.TrimPrefix(image.Layer.Digest, "sha256:"))); err != nil {
		t.Errorf("the layer was not pulled: %v", err)
	}
	for _, c := range []struct {
		server string
		got    *visitors
		want   string
	}{{"registry", &registry, "registry-a"}, {"token server", &tokens, "token-a"}, {"storage server", &storage, ""}} {
		if all := c.got.list(); len(all) == 0 || slices.ContainsFunc(all, func(v string) bool { return v != c.want }) {
			t.Errorf("the %s was shown the certificates %q; want %q alone", c.server, all, c.want)
		}
	}
	for _, l := range proxy.Lines("request served") {
		if strings.HasPrefix(l.Text("host"), storageName) {
			t.Errorf("certproxy looked into what was for the storage server: %v", l)
		}
	}
}

// visitors are the client certificates that a server was shown, one for each
// request, "" for none.
type visitors struct {
	mu    sync.Mutex
	names []string
}

func (v *visitors) noting(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := ""
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		v.mu.Lock()
		v.names = append(v.names, who)
		v.mu.Unlock()
		next(w, r)
	}
}

func (v *visitors) list() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.names)
}

const token = "a-token-for-the-pull"

func serveToken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token": %q}`, token)
}

// A redirectingRegistry serves one image to whoever has a token. It keeps the
// manifest itself and the blobs in a storage server.
type redirectingRegistry struct {
	image          *rig.Image
	realm, storage string
}

func (s *redirectingRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry",scope="repository:some/image:pull"`, s.realm))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if _, digest, ok := strings.Cut(r.URL.Path, "/blobs/"); ok {
		http.Redirect(w, r, s.storage+digest, http.StatusTemporaryRedirect)
		return
	}
	m := s.image.Manifest
	w.Header().Set("Content-Type", m.MediaType)
	w.Header().Set("Docker-Content-Digest", m.Digest)
	http.ServeFile(w, r, s.image.File(m.Digest))
}
