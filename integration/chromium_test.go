package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Chromium obeys HTTPS_PROXY, and trusts what trust install --store nss has put into its
// database.
func TestChromiumGoesThroughARunningProxy(t *testing.T) {
	t.Parallel()
	rig.Need(t, "chromium", "certutil")
	s := rig.NginxNames(t, rig.NewIdentities(t, name))
	certs, home := rig.Dir(t), t.TempDir()
	s.HostDir(certs, hostOf(s), s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	show := func() string {
		return rig.Run(t, rig.Command{
			Args: []string{"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
				"--disable-component-update", "--disable-sync", "--user-data-dir=" + filepath.Join(home, "profile"), "--dump-dom", "https://" + hostOf(s) + "/"},
			Env: []string{"HOME=" + home, "HTTPS_PROXY=" + proxy.URL()}, Names: []string{name},
		}).Stdout
	}
	rig.OK(t, rig.Command{Args: []string{"sh", "-c", `mkdir -p "$0/.pki/nssdb" && certutil -N --empty-password -d "sql:$0/.pki/nssdb"`, home}})
	if page := show(); strings.Contains(page, "CN=good") {
		t.Fatalf("it is trusted by nobody, and is shown: %s", page)
	}
	rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "trust", "install", "--store", "nss", "--state", filepath.Dir(proxy.CAFile)}, Env: []string{"HOME=" + home}})
	if page := show(); !strings.Contains(page, "CN=good") {
		t.Errorf("the page is %s", page)
	}
}
