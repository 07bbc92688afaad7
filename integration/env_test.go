package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A shell that has read certproxy env is led through the running proxy, to listed hosts
// and to others.
func TestEnvLeadsClientsThroughARunningProxy(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name, "localhost")
	s := rig.NginxNames(t, id)
	certs := rig.Dir(t)
	id.HostDir(certs, hostOf(s), id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	bundle := filepath.Join(rig.Dir(t), "bundle.pem")
	script := `eval "$("$0" env --listen "$1" --state "$2" --bundle "$3")"; curl -sS "$4"; echo; curl -sS -o /dev/null -w '%{http_code}\n' "$5"`
	r := rig.Run(t, rig.Command{
		Args: []string{"sh", "-c", script, rig.Binary(t), proxy.Addr, filepath.Dir(proxy.CAFile), bundle,
			"https://" + hostOf(s) + "/", strings.Replace("https://"+hostOf(s)+"/", name, "localhost", 1)},
		Env: []string{"SSL_CERT_FILE=" + id.CAFile(), "SSL_CERT_DIR=/nonexistent"},
	})
	// The other host is the same server, which sees no certificate there.
	if r.Exit != 0 || r.Stdout != "CN=good\n403\n" || r.Stderr != "" {
		t.Errorf("exit status %d, %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// One exec within another works as one does: each trusts what leads through the other.
func TestExecWithinExec(t *testing.T) {
	t.Parallel()
	e := newExecRun(t, rig.NginxNames(t, rig.NewIdentities(t, name)))
	r := rig.Run(t, e.through(t, rig.Binary(t), "exec", "--certs", e.certs, "curl", "-sSf", "https://"+e.host+"/"))
	if r.Exit != 0 || r.Stdout != "CN=good" || r.Stderr != "" {
		t.Errorf("exit status %d, %q\n%s", r.Exit, r.Stdout, r.Stderr)
	}
	e.leftNothing(t)
}
