package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A loopback port is no identity: whoever reaches it is asked for by the kernel.
func TestOnlyThoseWhoMayUseTheIdentities(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	s := goRequire(t, id, "1.3")
	listed := rig.Dir(t)
	id.HostDir(listed, hostOf(s), id.Good)
	curlAs := func(uid, url string, args ...string) string {
		args = append([]string{"--reuid", uid, "--regid", uid, "--clear-groups", "curl", "-sS", "-k", "--noproxy", "", "-w", " %{http_code} %{http_connect}", url}, args...)
		out, _ := exec.Command("setpriv", args...).CombinedOutput()
		return string(out)
	}
	const nobody = "65534"
	host := "https://" + hostOf(s) + "/"
	// A host that has no directory is a tunnel, whoever asks.
	tunnel := fmt.Sprintf("https://localhost:%d/", s.Port)
	ofHost := "hosts:\n  " + hostOf(s) + ":\n    "
	for _, c := range []struct {
		name   string
		args   []string
		config string
		admit  bool
		hint   string
	}{
		{"by default", nil, "", false, "--allow-user 65534"},
		{"with --allow-user nobody", []string{"--allow-user", "nobody"}, "", true, ""},
		{"with --allow-user root", []string{"--allow-user", "root"}, "", false, "--allow-user 65534"},
		{"with --allow-group", []string{"--allow-group", "65534"}, "", true, ""},
		{"with allow_users of the file", nil, "allow_users: [nobody, root]\n", true, ""},
		{"with allow_users of the host", nil, ofHost + "allow_users: [nobody, root]\n", true, ""},
		{"with the host stricter than all", nil, "allow_users: [\"*\"]\n" + ofHost + "allow_users: [root]\n", false, `add "nobody" to allow_users, for this host`},
		{"with all stricter than the host", nil, "allow_users: [root]\n" + ofHost + "allow_users: [\"*\"]\n", false, `add "nobody" to allow_users, for all hosts`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := rig.Dir(t)
			socket, forwardSocket := filepath.Join(dir, "proxy"), filepath.Join(dir, "forward")
			proxy := rig.Serve(t, rig.Options{Certs: listed, Names: []string{name}, Config: c.config, Args: append(c.args,
				"--listen", "unix:"+socket+",mode=0666", "--forward", "127.0.0.1:0="+hostOf(s), "--forward", "unix:"+forwardSocket+",mode=0666="+hostOf(s))})
			forward := proxy.Listening(t, 3)[2]
			through := curlAs(nobody, host, "--proxy", proxy.URL())
			plain := map[string]string{
				"an address":          curlAs(nobody, "http://"+forward+"/"),
				"a unix socket":       curlAs(nobody, "http://localhost/", "--unix-socket", forwardSocket),
				"the proxy's, by URL": curlAs(nobody, "http://localhost/", "--unix-socket", socket, "-H", "Host: "+hostOf(s), "--request-target", host),
			}
			if got := curlAs(nobody, tunnel, "--proxy", proxy.URL()); !strings.Contains(got, " 000 200") { // the server wants a certificate
				t.Errorf("a tunnel: %q", got)
			}
			if c.admit {
				if !strings.HasSuffix(through, " 200 200") {
					t.Errorf("%q; want to be let in", through)
				}
				for door, got := range plain {
					if !strings.HasSuffix(got, " 200 000") {
						t.Errorf("%s: %q; want to be let in", door, got)
					}
				}
				return
			}
			const reason = "user nobody (uid 65534) may not use the identities of "
			if !strings.Contains(through, " 000 403") {
				t.Errorf("%q; want to be refused", through)
			}
			for door, got := range plain {
				if !strings.HasSuffix(got, " 403 000") || !strings.Contains(got, reason+hostOf(s)) || !strings.Contains(got, c.hint) {
					t.Errorf("%s: %q; want to be refused with the reason and %q", door, got, c.hint)
				}
			}
			proxy.WaitLine(t, "connect refused", func(l rig.Line) bool {
				return strings.Contains(l.Text("reason"), reason) && fmt.Sprint(l.Text("host")) == hostOf(s)
			})
			if got := curlAs("0", host, "--proxy", proxy.URL()); !strings.HasSuffix(got, " 200 200") {
				t.Errorf("root: %q", got)
			}
		})
	}
}
