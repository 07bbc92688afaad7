package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// podID is the user, the group and the fsGroup of deploy/kubernetes.
const podID = "65532"

// inPod runs certproxy as the manifests of deploy/kubernetes do: as nobody, its state
// and its certs.d being secrets that it cannot write to.
func inPod(t *testing.T, state, certs *rig.SecretVolume) *rig.Certproxy {
	t.Helper()
	admin := fmt.Sprintf("127.0.0.1:%d", rig.Port(t))
	p := rig.Serve(t, rig.Options{
		Certs: certs.Path, Names: []string{name}, Under: rig.AsInPod(podID, state, certs),
		Args: []string{"--state", state.Path, "--allow-user", "*", "--admin", admin},
	})
	p.CAFile = filepath.Join(state.Path, "ca.crt")
	// The probe.
	rig.OK(t, rig.Command{Args: append(rig.AsInPod(podID), rig.Binary(t), "status", "--admin="+admin)})
	return p
}

// caSecret is the CA as certproxy ca init makes it, in a secret.
func caSecret(t *testing.T) *rig.SecretVolume {
	t.Helper()
	dir := rig.Dir(t)
	rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "ca", "init", "--state", filepath.Join(dir, "ca"), "--permit-dns", "example.test"}})
	return rig.NewSecretVolume(t, 65532, map[string][]byte{
		"ca.crt": rig.Read(t, filepath.Join(dir, "ca/ca.crt")),
		"ca.key": rig.Read(t, filepath.Join(dir, "ca/ca.key")),
	})
}

// pairSecret is a pair under the names to which the manifests map it, for one host.
func pairSecret(host string, id *rig.Identities, pair *throwaway.Certificate) map[string][]byte {
	dir := strings.Replace(host, ":", "_", 1) + "_/"
	return map[string][]byte{dir + "client.cert": pair.ChainPEM(), dir + "client.key": pair.KeyPEM(), dir + "ca.crt": id.CA.CertPEM()}
}

// The kubelet swaps a directory for another: what cert-manager has renewed is presented
// at once, and the CA that all replicas have is read where nothing can be written.
func TestSecretsOfKubernetesAreReadAndFollowed(t *testing.T) {
	t.Parallel()
	server := rig.NginxNames(t, rig.NewIdentities(t, name))
	state := caSecret(t)
	certs := rig.NewSecretVolume(t, 65532, pairSecret(hostOf(server), server.Identities, server.Expired))
	proxy := inPod(t, state, certs)
	for _, line := range proxy.Lines("problem") {
		if !strings.Contains(line.Text("problem"), "expired") {
			t.Errorf("certproxy finds a problem in the volume: %v", line)
		}
	}
	client := proxy.Client(t)
	url := "https://" + hostOf(server) + "/"
	if got := get(client, url); !strings.HasPrefix(got, "4") {
		t.Fatalf("with the expired pair the server answers %s; want a refusal", got)
	}
	renewed := time.Now()
	certs.Update(t, pairSecret(hostOf(server), server.Identities, server.Good))
	rig.Eventually(t, "the renewed pair is presented", func() bool { return get(client, url) == "200 CN=good" })
	t.Logf("in effect after %v", time.Since(renewed).Round(time.Millisecond))
}
