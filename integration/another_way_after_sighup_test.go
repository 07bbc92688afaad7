package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A site that moves to another proxy changes a line and sends a SIGHUP: from then on
// nothing goes the old way, kept connections included. Whoever mistypes it keeps the old one.
func TestASIGHUPMovesToAnotherProxyOfTheSite(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	listed := goRequire(t, id, "1.3")
	o := rig.UpstreamOptions{User: "user", Password: "s3cret", Names: []string{name}, Ports: []int{listed.Port}}
	before, after := rig.NewTinyproxy(t, o), rig.NewTinyproxy(t, o)
	certs := rig.Dir(t)
	id.HostDir(certs, hostOf(listed), id.Good)
	file := filepath.Join(rig.Dir(t), "site.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("upstream_proxy: " + before.URL() + "\n")
	proxy := rig.Serve(t, rig.Options{Certs: certs, Args: []string{"--config", file}})
	client := proxy.Client(t)
	get := func() {
		t.Helper()
		resp, err := client.Get("https://" + hostOf(listed) + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	hangup := func(line string) rig.Line {
		t.Helper()
		if err := proxy.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		return proxy.WaitLine(t, line, func(rig.Line) bool { return true })
	}
	const request = "CONNECT "
	get()
	get()
	before.WaitAsked(t, request+hostOf(listed))

	write("upstream_proxy: " + strings.Replace(after.URL(), "http:", "socks5:", 1) + "\n")
	hangup("configuration not reloaded")
	get()
	if strings.Contains(after.Log(), request) {
		t.Error("the other proxy was asked before it was set")
	}

	write("upstream_proxy: " + after.URL() + "\n")
	hangup("configuration reloaded")
	before.Stop(t) // whatever still goes there fails
	get()
	after.WaitAsked(t, request+hostOf(listed))
	if strings.Contains(proxy.Log(), "s3cret") {
		t.Error("the log has the password")
	}
}
