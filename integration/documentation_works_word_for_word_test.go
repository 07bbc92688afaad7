package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Docker's documentation, "Using certificates for repository client verification":
// its directory, its two openssl commands, its Apache fragment and its CGI script.
// The files in testdata/documentation are copied from it byte by byte.
func TestDocumentationWorksWordForWord(t *testing.T) {
	t.Parallel()
	t.Run("localhost", func(t *testing.T) {
		t.Parallel()
		// certs.d/localhost/ is for port 443, which is free in a network of its own.
		documentation(t, rig.NewNetwork(t), 443, "localhost")
	})
	t.Run("localhost with a port", func(t *testing.T) {
		t.Parallel()
		port := rig.Port(t)
		documentation(t, nil, port, fmt.Sprintf("localhost:%d", port))
	})
}

func documentation(t *testing.T, in *rig.Network, port int, host string) {
	layer := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{13}).Read(layer)
	files := map[string][]byte{
		"_ping":                               []byte("true"),
		"repositories/library/busybox/images": []byte(`[{"id": "4986bf8c15363d1c5d15512d5266f8777bfba4974ac56e3270e7760f6f0a8125"}]`),
		"images/4986bf8c15363d1c5d15512d5266f8777bfba4974ac56e3270e7760f6f0a8125/layer": layer,
	}
	// certs.d/localhost/localhost.crt is "Registry certificate": the certificate itself.
	server := throwaway.SelfSigned(throwaway.Options{Name: "localhost", Hosts: []string{"localhost"}})
	id := &rig.Identities{Server: server, CA: server, Dir: rig.Dir(t)}
	rig.Write(t, id.Dir, "server.crt", server.CertPEM(), 0o644)
	rig.Write(t, id.Dir, "server.key", server.KeyPEM(), 0o600)
	rig.Write(t, id.Dir, "ca.crt", server.CertPEM(), 0o644)
	rig.ApacheDocumentation(t, in, port, id, "testdata/documentation/registry.conf", "testdata/documentation/cert.cgi", files)

	certs := rig.Dir(t)
	dir := certs + "/" + host
	server.WriteRoot(dir, "localhost")
	rig.DocumentationPair(t, dir)

	base := "https://" + host + "/v1/"
	direct := id.Direct()
	direct.In = in
	for path := range files {
		if got := direct.Do(t, base+path); got.Status != 403 {
			t.Errorf("%s, without certproxy: %v; want 403", path, got)
		}
	}

	proxy := rig.Serve(t, rig.Options{Certs: certs, In: in})
	for _, http := range []struct{ flag, version string }{{"--http1.1", "1.1"}, {"--http2", "2"}} {
		curl := rig.Curl{Proxy: proxy, In: in, Args: []string{http.flag}}
		for path, want := range files {
			got := curl.Do(t, base+path)
			if got.Status != 200 || got.Version != http.version {
				t.Errorf("%s over HTTP/%s: %v; want 200", path, http.version, got)
			}
			if !bytes.Equal(got.Body, want) {
				t.Errorf("%s over HTTP/%s: %d bytes that differ from the file's %d", path, http.version, len(got.Body), len(want))
			}
			for name, value := range map[string]string{
				"X-Docker-Registry-Version": "0.6.2", "X-Docker-Endpoints": "localhost", "X-Docker-Size": "0",
			} {
				if got := got.Header.Get(name); got != value {
					t.Errorf("%s over HTTP/%s: %s: %q; want %q", path, http.version, name, got, value)
				}
			}
		}
	}
	for _, line := range proxy.Lines("request served") {
		if line.Text("pair") != "client" {
			t.Errorf("served with another pair than client: %v", line)
		}
	}
}
