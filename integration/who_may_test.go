package integration

import (
	"fmt"
	"os/exec"
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
		args = append([]string{"--reuid", uid, "--clear-groups", "curl", "-sS", "-k", "--noproxy", "", "-w", " %{http_code} %{http_connect}", url}, args...)
		out, _ := exec.Command("setpriv", args...).CombinedOutput()
		return string(out)
	}
	const nobody = "65534"
	host := "https://" + hostOf(s) + "/"
	for _, c := range []struct {
		name  string
		args  []string
		admit bool
	}{
		{"by default", nil, false},
		{"with --allow-user nobody", []string{"--allow-user", "nobody"}, true},
		{"with --allow-user root", []string{"--allow-user", "root"}, false},
		{"with --allow-group", []string{"--allow-group", "65534"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proxy := rig.Serve(t, rig.Options{Certs: listed, Names: []string{name}, Args: append(c.args, "--forward", "127.0.0.1:0="+hostOf(s))})
			forward := proxy.Lines("listening")[1].Text("addr")
			through := curlAs(nobody, host, "--proxy", proxy.URL())
			plain := curlAs(nobody, "http://"+forward+"/")
			if c.admit {
				if !strings.HasSuffix(through, " 200 200") || !strings.HasSuffix(plain, " 200 000") {
					t.Errorf("%q and %q; want to be let in", through, plain)
				}
				return
			}
			const reason = "user nobody (uid 65534) may not use the identities of "
			if !strings.Contains(through, " 000 403") || !strings.HasSuffix(plain, " 403 000") || !strings.Contains(plain, reason+hostOf(s)) || !strings.Contains(plain, "--allow-user 65534") {
				t.Errorf("%q and %q; want to be refused with the reason", through, plain)
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
