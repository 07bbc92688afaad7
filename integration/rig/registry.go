package rig

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// NginxRegistryOn is nginx with ssl_verify_client on, which answers 400 to a
// certificate it does not accept, in front of docker-registry.
func NginxRegistryOn(t testing.TB, id *Identities) *Server {
	return nginxRegistry(t, id, "nginx-registry-on.conf")
}

// NginxRegistryOptional is nginx with ssl_verify_client optional that answers 403
// to none and to every certificate but good, in front of docker-registry.
func NginxRegistryOptional(t testing.TB, id *Identities) *Server {
	return nginxRegistry(t, id, "nginx-registry-optional.conf")
}

// NginxRegistryRoles is nginx in front of docker-registry that lets the certificate
// reader GET and HEAD, depositor POST, PATCH and PUT, and writer everything. All
// else is 403.
func NginxRegistryRoles(t testing.TB, id *Identities) *Server {
	return nginxRegistry(t, id, "nginx-registry-roles.conf")
}

func nginxRegistry(t testing.TB, id *Identities, config string) *Server {
	t.Helper()
	s := newServer(t, id, "")
	s.nginxRegistry(t, nil, config)
	return s
}

// NginxRegistrySlowAt is [NginxRegistryOn] in a network, at an address and a port there,
// with 6 MB a second at most for a layer.
func NginxRegistrySlowAt(t testing.TB, in *Network, address string, port int, id *Identities) *Server {
	t.Helper()
	s := &Server{Port: port, At: address, Identities: id, Dir: Dir(t)}
	s.nginxRegistry(t, in, "nginx-registry-slow.conf")
	return s
}

func (s *Server) nginxRegistry(t testing.TB, in *Network, config string) {
	t.Helper()
	Need(t, "docker-registry")
	s.Behind = Port(t)
	Start(t, Process{Args: []string{"docker-registry", "serve", render(t, s.Dir, "registry-plain.yml", s)}, In: in, Port: s.Behind})
	s.nginx(t, in, config)
}

// Stored returns the size of each blob that the docker-registry has, by digest,
// after comparing its bytes with that.
func (s *Server) Stored(t testing.TB) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	err := filepath.WalkDir(filepath.Join(s.Dir, "blobs/docker/registry/v2/blobs/sha256"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "data" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		size, err := io.Copy(sum, f)
		digest := fmt.Sprintf("%x", sum.Sum(nil))
		if name := filepath.Base(filepath.Dir(path)); name != digest {
			t.Errorf("the registry has a blob %s whose bytes are %s", name, digest)
		}
		found["sha256:"+digest] = size
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Empty removes all that the docker-registry has.
func (s *Server) Empty(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.Dir, "blobs")); err != nil {
		t.Fatal(err)
	}
}
