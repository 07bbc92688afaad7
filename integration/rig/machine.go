package rig

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Machine is a booted systemd in a container: this machine's files, on which nothing
// it writes is kept, and users, units, processes and a network of its own.
type Machine struct {
	Root    string   // its files, as seen from here
	Network *Network // in which servers can be started for it
	init    int      // its first process
	enter   []string
}

// Boot starts a machine for the duration of the test. prepare may write to its files
// before it does; nil has nothing to write.
func Boot(t testing.TB, prepare func(root string)) *Machine {
	t.Helper()
	needNamespaces(t)
	Need(t, "systemd-nspawn", "systemctl")
	dir := t.TempDir()
	// The upper layer must be on another file system than the lower one.
	mount(t, dir, "tmpfs", "tmpfs")
	root := filepath.Join(dir, "m")
	for _, sub := range []string{"u", "w", "m"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, root, "overlay", "overlay", "-o", "lowerdir=/,upperdir="+filepath.Join(dir, "u")+",workdir="+filepath.Join(dir, "w"))
	// What happens to be enabled here is not of interest there.
	for _, inherited := range []string{"etc/systemd/system/*.wants/*", "usr/sbin/policy-rc.d"} {
		found, err := filepath.Glob(filepath.Join(root, inherited))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A machine of its own; without an id, systemd would enable all that is installed.
	Write(t, root, "etc/machine-id", fmt.Appendf(nil, "%016x%016x\n", rand.Uint64(), rand.Uint64()), 0o444)
	if prepare != nil {
		prepare(root)
	}
	return boot(t, root)
}

// boot starts what is in root, and waits until all units have started.
func boot(t testing.TB, root string) *Machine {
	t.Helper()
	// A cgroup tree of version 2 makes systemd enforce what units say of addresses.
	const script = `umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"`
	// In a PID namespace whose first process ends with the tests, however these end: systemd
	// itself outlives what started it.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "sh", "-c", script, "sh",
		"systemd-nspawn", "--boot", "--directory", root, "--machine", fmt.Sprintf("certproxy-%08x", rand.Uint32()),
		"--register=no", "--keep-unit", "--link-journal=no", "--console=pipe", "--private-network", "--system-call-filter=bpf", "--capability=CAP_BPF")
	out := &output{}
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, Environment()
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed, or switched off
	}()
	m := &Machine{Root: root}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- the machine's journal:\n%s\n--- the machine printed:\n%s", tail(m.try("journalctl", "--no-pager", "-o", "short-monotonic").Stdout), tail(out.String()))
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	Eventually(t, "the machine has booted", func() bool {
		select {
		case <-ended:
			t.Fatalf("the machine did not start:\n%s", out)
		default:
		}
		if m.enter == nil {
			m.init = firstProcess(cmd.Process.Pid)
			if m.init == 0 {
				return false
			}
			m.Network = &Network{path: "/proc/" + strconv.Itoa(m.init) + "/ns/net"}
			m.enter = []string{"nsenter", "-t", strconv.Itoa(m.init), "-m", "-u", "-i", "-n", "-p", "-C", "--"}
		}
		state := strings.TrimSpace(m.try("systemctl", "is-system-running").Stdout)
		return state == "running" || state == "degraded"
	})
	return m
}

// Path is where a file of the machine is for the tests, those in its /run and /tmp included.
func (m *Machine) Path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.init, name) }

// Run runs a command on the machine, as root.
func (m *Machine) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return Run(t, Command{Args: append(m.enter[:len(m.enter):len(m.enter)], args...)})
}

// OK runs a command that has to succeed, and returns its standard output.
func (m *Machine) OK(t testing.TB, args ...string) string {
	t.Helper()
	return OK(t, Command{Args: append(m.enter[:len(m.enter):len(m.enter)], args...)})
}

// Journal returns what a unit has logged so far. What it wrote is read by journald when
// that finds the time: without the wait, the last lines may be missing.
func (m *Machine) Journal(t testing.TB, unit string) string {
	t.Helper()
	m.OK(t, "journalctl", "--sync")
	return m.OK(t, "journalctl", "--unit", unit, "--output", "cat")
}

// try runs a command that may fail, and that needs no test to fail.
func (m *Machine) try(args ...string) Result {
	if m.enter == nil {
		return Result{Exit: -1}
	}
	cmd := exec.Command(m.enter[0], append(m.enter[1:len(m.enter):len(m.enter)], args...)...)
	cmd.Env = Environment()
	out, _ := cmd.Output()
	return Result{Exit: cmd.ProcessState.ExitCode(), Stdout: string(out)}
}

// firstProcess returns the process 1 of the machine that a descendant of unshare runs, or
// 0 as long as there is none.
func firstProcess(unshare int) int {
	children, err := os.ReadFile("/proc/" + strconv.Itoa(unshare) + "/task/" + strconv.Itoa(unshare) + "/children")
	if err != nil {
		return 0
	}
	for child := range strings.FieldsSeq(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			continue
		}
		comm, err := os.ReadFile("/proc/" + child + "/comm")
		if err == nil && strings.TrimSpace(string(comm)) == "systemd" {
			return pid
		}
		if below := firstProcess(pid); below != 0 {
			return below
		}
	}
	return 0
}

// mount mounts a file system until the test ends.
func mount(t testing.TB, dir string, args ...string) {
	t.Helper()
	OK(t, Command{Args: append(append([]string{"mount", "-t"}, args[0], args[1]), append(args[2:], dir)...)})
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--recursive", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", dir, err, out)
		}
	})
}
