package integration

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// What systemd listens on is served: by its name, by its very address, and without a word
// about it. The first connection starts certproxy, and is answered.
func TestSocketsOfSystemdAreServed(t *testing.T) {
	t.Parallel()
	rig.Need(t, "systemd-socket-activate")
	id := rig.NewIdentities(t, name)
	server := rig.NginxNames(t, id)
	certs := rig.Dir(t)
	id.HostDir(certs, hostOf(server), id.Good)
	for what, listen := range map[string]func(addr string) []string{
		"by its name":    func(string) []string { return []string{"--listen", "systemd:proxy"} },
		"by its address": func(addr string) []string { return []string{"--listen", addr} },
		"by default":     func(string) []string { return nil },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			port := rig.Port(t)
			addr := "127.0.0.1:" + strconv.Itoa(port)
			line := []string{"systemd-socket-activate", "--listen", addr, "--fdname=proxy", "--setenv=PATH",
				rig.Binary(t), "serve", "--certs", certs, "--state", filepath.Join(rig.Dir(t), "state"), "--log-format", "json"}
			rig.Start(t, rig.Process{Args: rig.Resolving(t, []string{name}, append(line, listen(addr)...)), Port: port})
			got := rig.Curl{Args: []string{"-k", "--proxy", "http://" + addr, "--noproxy", ""}, CAFile: id.CAFile()}.Do(t, "https://"+hostOf(server)+"/")
			if got.Status != 200 || string(got.Body) != "CN=good" {
				t.Errorf("%v", got)
			}
		})
	}
}
