package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// execRun is what the tests of certproxy exec share: a server that wants a certificate,
// a certs.d whose last pair is good, and directories in which nothing may be left.
type execRun struct {
	*rig.Server
	certs, home, tmp string
	host             string // name:port
}

func newExecRun(t *testing.T, s *rig.Server) *execRun {
	t.Helper()
	e := &execRun{Server: s, certs: rig.Dir(t), home: t.TempDir(), tmp: t.TempDir(), host: hostOf(s)}
	s.HostDir(e.certs, e.host, s.Expired, s.Wrong, s.Good)
	return e
}

// command is a client with what it would know on a machine that trusts the server.
func (e *execRun) command(args ...string) rig.Command {
	ca := e.CAFile()
	return rig.Command{
		Args: args, Names: []string{name}, Dir: e.home,
		Env: []string{"HOME=" + e.home, "TMPDIR=" + e.tmp, "SSL_CERT_FILE=" + ca, "NODE_PATH=/usr/share/nodejs", "GIT_TERMINAL_PROMPT=0"},
	}
}

// through is the same client behind certproxy exec.
func (e *execRun) through(t *testing.T, args ...string) rig.Command {
	return e.command(append([]string{rig.Binary(t), "exec", "--certs", e.certs, "--"}, args...)...)
}

// leftNothing fails where a directory has something that the client did not make.
func (e *execRun) leftNothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(e.tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), "certproxy") {
			t.Errorf("certproxy exec left %s", entry.Name())
		}
	}
	for _, dir := range []string{".local", ".config"} {
		if _, err := os.Stat(filepath.Join(e.home, dir, "certproxy")); err == nil {
			t.Errorf("certproxy exec left something in %s", dir)
		}
	}
}

// curl, git, Python, Node.js and Java reach a server that wants a client certificate,
// with nothing installed before and nothing left after.
func TestExecServesEveryClient(t *testing.T) {
	t.Parallel()
	e := newExecRun(t, rig.NginxFiles(t, rig.NewIdentities(t, name)))
	const text = "a file that wants a certificate\n"
	rig.Write(t, e.Dir, "files/hello.txt", []byte(text), 0o644)
	makeRepository(t, filepath.Join(e.Dir, "files", "project.git"), text)
	url := "https://" + e.host
	testdata, err := filepath.Abs("testdata/clients")
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name  string
		needs []string
		file  string // of a library
		args  []string
	}{
		{"curl", []string{"curl"}, "", []string{"curl", "-sSf", url + "/hello.txt"}},
		{"Python requests", []string{"python3"}, "/usr/lib/python3/dist-packages/requests/__init__.py", []string{"/usr/bin/python3", filepath.Join(testdata, "get.py"), url + "/hello.txt"}},
		{"Node.js", []string{"node"}, "/usr/share/nodejs/undici/package.json", []string{"node", filepath.Join(testdata, "get.js"), url + "/hello.txt"}},
		{"Java", []string{"javac"}, "", []string{"java", filepath.Join(testdata, "Get.java"), url + "/hello.txt"}},
		// A proxy that is configured, and not there, is not asked.
		{"git with a proxy of its own", []string{"git"}, "", []string{"sh", "-c",
			`export HOME="$1" && git config --global http.proxy http://127.0.0.1:1 && git clone -q "$0" "$1/clone" && cat "$1/clone/hello.txt"`,
			url + "/project.git", t.TempDir()}},
		{"git", []string{"git"}, "", []string{"sh", "-c", `git clone -q "$0" "$1" && cat "$1/hello.txt"`, url + "/project.git", filepath.Join(t.TempDir(), "clone")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rig.Need(t, c.needs...)
			if c.file != "" {
				rig.NeedFile(t, c.file)
			}
			if r := rig.Run(t, e.command(c.args...)); r.Exit == 0 {
				t.Fatalf("without certproxy it was let in: %q", r.Stdout)
			}
			r := rig.Run(t, e.through(t, c.args...))
			if r.Exit != 0 || r.Stdout != text {
				t.Errorf("exit status %d, %q\n%s", r.Exit, r.Stdout, r.Stderr)
			}
			said := regexp.MustCompile(`(?m)^Picked up JAVA_TOOL_OPTIONS: .*\n`).ReplaceAllString(r.Stderr, "")
			if said != "" {
				t.Errorf("on standard error: %s", said)
			}
		})
	}
	t.Cleanup(func() { e.leftNothing(t) })
}

// makeRepository makes a repository with one file that any web server can serve.
func makeRepository(t *testing.T, path, text string) {
	t.Helper()
	rig.Need(t, "git")
	work := t.TempDir()
	rig.Write(t, work, "hello.txt", []byte(text), 0o644)
	for _, args := range [][]string{
		{"git", "init", "-q", "."},
		{"git", "add", "."},
		{"git", "-c", "user.name=test", "-c", "user.email=test@example.test", "commit", "-q", "-m", "one"},
		{"git", "clone", "-q", "--bare", ".", path},
		{"git", "-C", path, "update-server-info"},
	} {
		rig.OK(t, rig.Command{Args: args, Dir: work})
	}
}

// skopeo and crane, clients in Go, push to and pull from a registry that wants one.
func TestExecServesSkopeoAndCrane(t *testing.T) {
	t.Parallel()
	rig.Need(t, "skopeo")
	e := newExecRun(t, rig.Registry(t, rig.NewIdentities(t, name), ""))
	dir := t.TempDir()
	image := filepath.Join(dir, "image.tar")
	layer := rig.Write(t, dir, "layer.tar", imageLayer(t), 0o644)
	rig.OK(t, rig.Command{Args: []string{crane(), "append", "--new_layer", layer, "--new_tag", "local/image:1", "--output", image}})
	push := []string{"skopeo", "--insecure-policy", "copy", "-q", "docker-archive:" + image, "docker://" + e.host + "/exec/image:1"}
	if r := rig.Run(t, e.command(push...)); r.Exit == 0 || !refusedFor.MatchString(r.Stderr) {
		t.Fatalf("without certproxy: exit status %d, %s", r.Exit, r.Stderr)
	}
	rig.OK(t, e.through(t, push...))
	digest := rig.OK(t, e.through(t, "skopeo", "inspect", "--format", "{{.Digest}}", "docker://"+e.host+"/exec/image:1"))
	if !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("skopeo inspect says %q", digest)
	}
	if said := rig.OK(t, e.through(t, crane(), "digest", e.host+"/exec/image:1")); said != digest {
		t.Errorf("crane digest says %q, skopeo inspect %q", said, digest)
	}
	e.leftNothing(t)
}

// A command that fails because of something refused is told why in one line.
func TestExecSaysInOneLineWhatWasRefused(t *testing.T) {
	t.Parallel()
	e := newExecRun(t, rig.NginxNames(t, rig.NewIdentities(t, name)))
	dir := filepath.Join(e.certs, e.host)
	rig.OK(t, rig.Command{Args: []string{"rm", filepath.Join(dir, "c.cert"), filepath.Join(dir, "c.key")}})
	curl := []string{"curl", "-sSf", "https://" + e.host + "/"}
	r := rig.Run(t, e.through(t, curl...))
	want := fmt.Sprintf("certproxy: %s accepted no client certificate (a: ", e.host)
	if r.Exit != 22 || strings.Count(r.Stderr, "certproxy: ") != 1 || !strings.Contains(r.Stderr, want) || !strings.HasSuffix(r.Stderr, "certproxy list shows its pairs\n") {
		t.Errorf("exit status %d, %s", r.Exit, r.Stderr)
	}
	rig.OK(t, rig.Command{Args: []string{"sh", "-c", `rm "$0"/*.key`, dir}})
	r = rig.Run(t, e.through(t, curl...))
	if r.Exit == 0 || strings.Count(r.Stderr, "certproxy: "+"no client certificate for "+e.host) != 1 {
		t.Errorf("exit status %d, %s", r.Exit, r.Stderr)
	}
	if r := rig.Run(t, e.through(t, "false")); r.Exit != 1 || r.Stderr != "" {
		t.Errorf("false: exit status %d, %s", r.Exit, r.Stderr)
	}
	e.leftNothing(t)
}
