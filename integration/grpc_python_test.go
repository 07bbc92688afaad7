package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A client on top of gRPC's C core, which has CAs of its own and reads https_proxy, calls a
// server that wants a client certificate.
func TestExecAndEnvServeGRPCOfPython(t *testing.T) {
	t.Parallel()
	rig.Need(t, "/usr/bin/python3")
	rig.NeedFile(t, "/usr/lib/python3/dist-packages/grpc/__init__.py")
	e := newExecRun(t, newGRPCService(t, rig.NewIdentities(t, name)).Server)
	proxy := rig.Serve(t, rig.Options{Certs: e.certs, Names: []string{name}})
	client, err := filepath.Abs("testdata/clients/grpc_call.py")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"/usr/bin/python3", client, e.host}
	direct := e.command(args...)
	direct.Env = append(direct.Env, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH="+e.CAFile())
	if r := rig.Run(t, direct); r.Exit == 0 {
		t.Fatalf("without certproxy it was let in: %q", r.Stdout)
	}
	if got := rig.OK(t, e.through(t, args...)); got != "good\n" {
		t.Errorf("certproxy exec: the server knows %q", got)
	}
	script := `eval "$("$0" env --listen "$1" --state "$2" --bundle "$3")"; shift 3; exec "$@"`
	got := rig.OK(t, e.command(append([]string{"sh", "-c", script, rig.Binary(t), strings.TrimPrefix(proxy.URL(), "http://"), filepath.Dir(proxy.CAFile),
		filepath.Join(t.TempDir(), "bundle.pem")}, args...)...))
	if got != "good\n" {
		t.Errorf("certproxy env: the server knows %q", got)
	}
	e.leftNothing(t)
}
