package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Whoever is killed, the command or certproxy, no file and no process is left.
func TestExecLeavesNothingWhenKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kill   func(certproxy, child int) int
		signal syscall.Signal
		exit   int // of certproxy, -1 where it is killed itself
	}{
		{"kill -9 of the command", func(_, child int) int { return child }, syscall.SIGKILL, 137},
		{"kill -9 of certproxy", func(certproxy, _ int) int { return certproxy }, syscall.SIGKILL, -1},
		{"SIGTERM to certproxy", func(certproxy, _ int) int { return certproxy }, syscall.SIGTERM, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			cmd := exec.Command(rig.Binary(t), "exec", "--certs", rig.Dir(t), "--log-level", "error", "--",
				"sh", "-c", `test -r "$SSL_CERT_FILE" && echo $$ && exec sleep 600`)
			cmd.Env = rig.Environment("HOME="+tmp, "TMPDIR="+tmp)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatalf("the command did not start: %v", err)
			}
			child, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			guardians := childrenOf(t, cmd.Process.Pid)
			if err := syscall.Kill(c.kill(cmd.Process.Pid, child), c.signal); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, stdout)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != c.exit {
				t.Errorf("exit status %d (%v), want %d", got, cmd.ProcessState, c.exit)
			}
			rig.Eventually(t, "no process is left", func() bool {
				for _, pid := range append(guardians, child) {
					if alive(pid) {
						return false
					}
				}
				return true
			})
			rig.Eventually(t, "no file is left", func() bool {
				left, err := filepath.Glob(filepath.Join(tmp, "*"))
				return err == nil && len(left) == 0
			})
		})
	}
}

// childrenOf returns the processes whose parent is pid: the command, and the guardian.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var out []int
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(data)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	if len(out) != 2 {
		t.Fatalf("certproxy exec has the children %v; want the command and the guardian", out)
	}
	return out
}

// alive reports whether a process runs; one that its parent has not yet waited for does not.
func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(state, "Z")
}

// Only the user who runs certproxy exec, and root, can use its proxy; to others even a
// tunnel is closed.
func TestExecServesNobodyElse(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	e := newExecRun(t, rig.NginxNames(t, id))
	script := `setpriv --reuid 65534 --clear-groups curl -sS -k -o /dev/null -w '%{http_connect} %{http_code}\n' "$0"
		curl -sS -o /dev/null -w '%{http_connect} %{http_code}\n' "$0"
		setpriv --reuid 65534 --clear-groups curl -sS -k -o /dev/null -w '%{http_connect} %{http_code}\n' "$1"`
	unlisted := "https://127.0.0.1:" + strconv.Itoa(e.Port) + "/"
	r := rig.Run(t, e.through(t, "sh", "-c", script, "https://"+e.host+"/", unlisted))
	if want := "403 000\n200 200\n403 000\n"; r.Stdout != want {
		t.Errorf("%q, want %q\n%s", r.Stdout, want, r.Stderr)
	}
}
