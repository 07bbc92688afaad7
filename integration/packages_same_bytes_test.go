package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Who builds a commit again, elsewhere and later, gets what we have published: the
// sources lie in another folder, their files are new, and umask and time zone differ.
func sameBytes(t *testing.T, p *packager) {
	elsewhere := rig.Dir(t)
	for _, part := range []string{"certs", "cmd", "docs", "internal", "packaging", "proxy", "systemd", "watch"} {
		if err := os.CopyFS(filepath.Join(elsewhere, part), os.DirFS(filepath.Join("..", part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"go.mod", "go.sum", "README.md", "CHANGELOG.md", "LICENSE", "THIRD-PARTY-NOTICES"} {
		rig.Write(t, elsewhere, f, rig.Read(t, filepath.Join("..", f)), 0o600)
	}
	build := func(top, out, umask string, env ...string) []string {
		binary := filepath.Join(out, "certproxy")
		in := func(dir string, args ...string) {
			t.Helper()
			runHere(t, dir, env, append([]string{"sh", "-c", `umask "$0"; exec "$@"`, umask}, args...)...)
		}
		// The Makefile's build.
		in(top, "env", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.version=v1.0.0", "-o", binary, "./cmd/certproxy")
		in(".", p.tool, "-top", top, "-version", "v1.0.0", "-arch", "amd64", "-binary", binary, "-manual", p.manual, "-out", out, "deb", "rpm")
		made, err := filepath.Glob(filepath.Join(out, "certproxy*"))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	here := build("..", t.TempDir(), "022")
	there := build(elsewhere, t.TempDir(), "077", "TZ=Asia/Kathmandu", "LC_ALL=C.UTF-8", "HOSTNAME=elsewhere", "USER=somebody")
	if len(here) != 3 || len(there) != 3 {
		t.Fatalf("built were %q and %q; want a binary, a deb and an rpm", here, there)
	}
	if runtime.GOARCH == "amd64" {
		if got := rig.OK(t, rig.Command{Args: []string{here[0], "version"}}); got != "certproxy v1.0.0\n" {
			t.Errorf("certproxy version prints %q; want what it was built as", got)
		}
	}
	for i := range here {
		a, b := rig.Read(t, here[i]), rig.Read(t, there[i])
		if filepath.Base(here[i]) != filepath.Base(there[i]) || !bytes.Equal(a, b) {
			t.Errorf("%s (%d bytes) and %s (%d bytes) differ", here[i], len(a), there[i], len(b))
		}
		if strings.Contains(string(b), elsewhere) {
			t.Errorf("%s names the folder in which it was built", there[i])
		}
		// It is as it ships, without symbols, which lintian wants gone.
		if strings.HasSuffix(here[i], ".deb") {
			lintianIsContent(t, here[i])
		}
	}
}
