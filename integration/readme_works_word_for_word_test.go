package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// The commands of the README do what it shows, on this machine's files with whatever
// they write in a layer of its own, and in a network of its own.
func TestReadmeWorksWordForWord(t *testing.T) {
	t.Parallel()
	rig.Need(t, "git", "curl")
	// What is about another situation runs in one of its own.
	situations := map[string][]rig.Step{}
	for _, step := range rig.Steps(t, "../README.md") {
		words := strings.Fields(step.Script)
		what := "use"
		if len(words) > 1 && words[0] == "certproxy" && (words[1] == "exec" || words[1] == "check") {
			what = words[1]
		}
		situations[what] = append(situations[what], step)
	}
	if len(situations) != 3 || len(situations["use"]) != 5 {
		t.Fatalf("README.md has other commands than this test knows: %v", situations)
	}

	in := rig.NewNetwork(t)
	end := time.Date(2049, 1, 2, 0, 0, 0, 0, time.UTC)
	ca := throwaway.SelfSigned(throwaway.Options{Name: "Corp CA", CA: true, NotAfter: end})
	id := &rig.Identities{CA: ca, Dir: rig.Dir(t), Server: ca.Issue(throwaway.Options{Name: "registry.example", Hosts: []string{"registry.example", "git.corp.example"}})}
	rig.Write(t, id.Dir, "ca.crt", ca.CertPEM(), 0o644)
	rig.Write(t, id.Dir, "server.crt", id.Server.ChainPEM(), 0o644)
	rig.Write(t, id.Dir, "server.key", id.Server.KeyPEM(), 0o600)
	rig.RegistryAt(t, in, "127.0.0.1", 5000, id)
	files := rig.NginxFilesAt(t, in, 443, id)
	makeRepository(t, filepath.Join(files.Dir, "files/team/project.git"), "hello\n")
	a, b := ca.Issue(throwaway.Options{Name: "a", NotAfter: end}), ca.Issue(throwaway.Options{Name: "b", NotAfter: end})

	for what, certs := range map[string]func(dir string){
		"use":  func(dir string) { id.HostDir(dir, "registry.example:5000", a, b) },
		"exec": func(dir string) { id.HostDir(dir, "git.corp.example", a) },
		"check": func(dir string) {
			other := throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "other", NotAfter: end})
			other.WritePair(id.HostDir(dir, "registry.example:5000"), "client")
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := rig.Dir(t)
			certs(dir)
			runReadme(t, in, dir, situations[what])
		})
	}
}

// runReadme runs the steps in one shell, at the top of the repository, with certs as
// /etc/docker/certs.d.
func runReadme(t *testing.T, in *rig.Network, certs string, steps []rig.Step) {
	t.Helper()
	dir := rig.Dir(t)
	top, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const script = `
set -eu
layers=$1 top=$2 certs=$3 bin=$4; shift 4
mount -t tmpfs none "$layers"
over() {
	layer=$layers/$(echo "$1" | tr / _)
	mkdir -p "$layer/new" "$layer/work"
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/new,workdir=$layer/work" "$1"
}
cp "$bin" "$layers/certproxy"
for dir in /etc /var/lib /usr/local/bin "$top"; do over "$dir"; done
mount -t tmpfs none /run
rm -rf /etc/docker/certs.d /etc/certproxy /etc/containers/certs.d /var/lib/certproxy
mkdir -p /etc/docker
cp -r "$certs" /etc/docker/certs.d
echo "127.0.0.1 localhost registry.example git.corp.example" >/etc/hosts
cp "$layers/certproxy" /usr/local/bin/certproxy
cd "$top"
set +eu
server=
for step; do
	. "$step" >"$step.said" 2>&1
	echo $? >"$step.exit"
	if [ "$!" != "$server" ]; then # it is in the background
		server=$!
		tries=0
		until curl -s -o /dev/null --noproxy "*" http://127.0.0.1:3128/ || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
	fi
done
[ -z "$server" ] || { kill "$server"; wait "$server"; }
exit 0
`
	args := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", rig.Dir(t), top, certs, rig.Binary(t)}
	for i, step := range steps {
		args = append(args, rig.Write(t, dir, fmt.Sprint("step", i), []byte(step.Script), 0o644))
	}
	rig.OK(t, rig.Command{Args: in.Enter(args), Env: goEnvironment(t)})
	for i, step := range steps {
		read := func(what string) string {
			return strings.TrimSpace(string(rig.Read(t, filepath.Join(dir, fmt.Sprintf("step%d.%s", i, what)))))
		}
		said, want := read("said"), step
		if strings.Contains(step.Script, " demo") { // ports and durations are what they are
			number := regexp.MustCompile(`[0-9]+(\.[0-9]+)?( m?s\b)?`)
			said, want.Shows = number.ReplaceAllString(said, "N"), number.ReplaceAllString(step.Shows, "N")
		}
		wantExit := "0"
		if strings.HasPrefix(step.Script, "certproxy check") {
			wantExit = "1"
		}
		if !want.Said(said) || read("exit") != wantExit {
			t.Errorf("%s: %sexit status %s\n%s\nand the page says\n%s", step.Where, step.Script, read("exit"), said, want.Shows)
		}
	}
}

// goEnvironment is what the go command needs to find what it has built and fetched.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT", "GOCACHE", "GOMODCACHE", "GOFLAGS", "CGO_ENABLED").Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(string(out), "\n")
	return []string{
		"PATH=" + filepath.Join(values[0], "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(),
		"GOCACHE=" + values[1], "GOMODCACHE=" + values[2], "GOFLAGS=" + strings.TrimSpace(values[3]+" -buildvcs=false"), "CGO_ENABLED=" + values[4],
		"GOPROXY=off", "GOTOOLCHAIN=local", "GIT_TERMINAL_PROMPT=0",
	}
}
