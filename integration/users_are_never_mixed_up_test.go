package integration

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Ports are used again and again, by one user after the other. Of 32 users at once,
// half of whom may use the identities, each is taken for who they are: on each of
// their connections, at the proxy's door and at a host's.
func TestThirtyTwoUsersAtOnceAreNeverMixedUp(t *testing.T) {
	t.Parallel()
	const users, rounds, first = 32, 12, 20001
	id := rig.NewIdentities(t, name)
	server := goRequire(t, id, "1.3")
	listed := rig.Dir(t)
	id.HostDir(listed, hostOf(server), id.Good)
	args := []string{"--forward", "127.0.0.1:0=" + hostOf(server)}
	for uid := first; uid < first+users; uid += 2 {
		args = append(args, "--allow-user", strconv.Itoa(uid))
	}
	proxy := rig.Serve(t, rig.Options{Certs: listed, Names: []string{name}, Args: args})
	forward := proxy.Listening(t, 2)[1]

	var all sync.WaitGroup
	for uid := first; uid < first+users; uid++ {
		all.Go(func() {
			user := strconv.Itoa(uid)
			wantProxy, wantForward := "200 200", "200 000"
			if (uid-first)%2 == 1 {
				wantProxy, wantForward = "000 403", "403 000"
			}
			for range rounds {
				for url, want := range map[string]string{
					"https://" + hostOf(server) + "/user/" + user: wantProxy,
					"http://" + forward + "/user/" + user:         wantForward,
				} {
					line := []string{"--reuid", user, "--clear-groups", "curl", "-s", "-k", "--noproxy", "", "-o", "/dev/null", "-w", "%{http_code} %{http_connect}"}
					if strings.HasPrefix(url, "https") {
						line = append(line, "--proxy", proxy.URL())
					}
					cmd := exec.Command("setpriv", append(line, url)...)
					cmd.Env = rig.Environment()
					if out, _ := cmd.Output(); string(out) != want { // curl fails where the proxy refuses
						t.Errorf("uid %d: %s: %s; want %s", uid, url, out, want)
					}
				}
			}
		})
	}
	all.Wait()

	// A request is logged when its answer has gone out.
	const want = users / 2 * rounds * 2
	rig.Eventually(t, "all requests are in the log", func() bool { return len(proxy.Lines("request served")) >= want })
	for _, l := range proxy.Lines("request served") {
		if uid, _ := strings.CutPrefix(l.Text("path"), "/user/"); fmt.Sprint(l.Number("uid")) != uid {
			t.Errorf("a request of uid %s is logged as of %d", uid, l.Number("uid"))
		}
	}
}
