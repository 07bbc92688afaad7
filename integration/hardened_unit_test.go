package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Who has connected is asked of the kernel over a netlink socket. The unit we ship
// takes from certproxy what it does not need, and that it does need.
func TestUsersAreKnownInsideTheHardenedUnit(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	m := rig.Boot(t, func(root string) {
		rig.Write(t, root, "usr/bin/certproxy", rig.Read(t, rig.Binary(t)), 0o755)
		rig.Write(t, root, "etc/systemd/system/certproxy.service", rig.Read(t, "../systemd/certproxy.service"), 0o644)
		rig.Write(t, root, "etc/hosts", []byte("127.0.0.1 localhost "+name+"\n"), 0o644)
	})
	server := rig.NginxNamesIn(t, m.Network, id)
	host := hostOf(server)
	id.HostDir(filepath.Join(m.Root, "etc/certproxy/certs.d"), host, id.Expired, id.Good)
	m.OK(t, "useradd", "--system", "--user-group", "certproxy")
	m.OK(t, "chown", "-R", "certproxy:certproxy", "/etc/certproxy/certs.d")
	m.OK(t, "systemctl", "start", "certproxy.service")
	m.OK(t, "sh", "-c", `until journalctl -u certproxy -o cat | grep -q '"msg":"listening"'; do sleep 0.05; done`)

	curl := func(uid, url string, args ...string) rig.Result {
		return m.Run(t, append([]string{"setpriv", "--reuid", uid, "--clear-groups", "curl", "-sS", "--noproxy", "", "--proxy", "http://127.0.0.1:3128",
			"-w", " %{http_code} %{http_connect}", url}, args...)...)
	}
	if got := curl("0", "https://"+host+"/", "--cacert", "/var/lib/certproxy/ca.crt"); !strings.HasSuffix(got.Stdout, "CN=good 200 200") {
		t.Errorf("root: %q %s", got.Stdout, got.Stderr)
	}
	const nobody = "65534"
	if got := curl(nobody, "https://"+host+"/", "-k"); !strings.HasSuffix(got.Stdout, " 000 403") {
		t.Errorf("nobody: %q %s; want 403 to the CONNECT", got.Stdout, got.Stderr)
	}
	log := m.Journal(t, "certproxy")
	if want := "user nobody (uid 65534) may not use the identities of " + host; !strings.Contains(log, want) {
		t.Errorf("the journal does not say %q", want)
	}
	// A host of its own for tunnels: by another name, which has no directory.
	if got := curl(nobody, "https://localhost:"+strconv.Itoa(server.Port)+"/", "-k"); !strings.HasSuffix(got.Stdout, " 403 200") {
		t.Errorf("a tunnel for nobody: %q %s; want the server's own 403 to a client without a certificate", got.Stdout, got.Stderr)
	}
	if _, err := os.Stat(filepath.Join(m.Root, "var/lib/certproxy/ca.key")); err != nil {
		t.Error(err)
	}
}
