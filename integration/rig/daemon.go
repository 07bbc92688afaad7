package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Process is a daemon to start.
type Process struct {
	Args  []string              // the command
	Env   []string              // on top of [Environment]
	In    *Network              // nil is the machine's own
	Port  int                   // ready when something listens there
	Ready func(log string) bool // instead of Port, where that says too little
	Logs  []string              // files the daemon writes, shown when the test fails
	User  uint32                // 0 is the user of the tests
}

// A Daemon is a process that runs until the test ends.
type Daemon struct {
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when the process has ended
}

// Environment is all that a process of the tests inherits: the machine's own
// SSL_CERT_FILE, HTTPS_PROXY and their like would decide what is tested.
func Environment(more ...string) []string {
	return append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LC_ALL=C"}, more...)
}

// Start runs a daemon, waits until it is ready, and stops it and its children at
// the end of the test, whose failure shows what the daemon printed.
func Start(t testing.TB, p Process) *Daemon {
	t.Helper()
	d := &Daemon{name: p.Args[0], out: &output{}, done: make(chan struct{})}
	args := p.In.Enter(p.Args)
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Env = Environment(p.Env...)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	// A child that outlives its parent must not keep Wait waiting for the pipe.
	d.cmd.WaitDelay = time.Second
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if p.User != 0 {
		d.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.User, Gid: p.User}
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		d.cmd.Wait() // the state it ended in is in cmd.ProcessState
	}()
	t.Cleanup(func() {
		d.Stop(t)
		if t.Failed() {
			t.Log(d.story(p.Logs))
		}
	})
	Eventually(t, d.name+" is ready", func() bool {
		select {
		case <-d.done:
			t.Fatalf("%s ended before it was ready: %v", d.name, d.cmd.ProcessState)
		default:
		}
		if p.Ready != nil {
			return p.Ready(d.out.String())
		}
		return listens(d.PID(), p.Port)
	})
	return d
}

// Stop ends the daemon as an operator would, and kills it when that does not help.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	d.signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(Patience):
		t.Errorf("%s did not end within %v of SIGTERM", d.name, Patience)
	}
	d.signal(syscall.SIGKILL) // children, or all of it
	<-d.done
}

// Signal sends the process, not its children, a signal.
func (d *Daemon) Signal(sig os.Signal) error { return d.cmd.Process.Signal(sig) }

// PID is the daemon's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Log is what the daemon has printed so far.
func (d *Daemon) Log() string { return d.out.String() }

func (d *Daemon) signal(sig syscall.Signal) {
	// ESRCH: the whole group has ended already.
	if err := syscall.Kill(-d.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		panic(fmt.Sprintf("rig: signal %v to %s: %v", sig, d.name, err))
	}
}

func (d *Daemon) story(files []string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "--- %s printed:\n%s", d.name, tail(d.Log()))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil && len(data) > 0 {
			fmt.Fprintf(&s, "\n--- %s:\n%s", f, tail(string(data)))
		}
	}
	return s.String()
}

// enough is how much of a log is shown.
const enough = 16 << 10

func head(s string) string {
	if len(s) > enough {
		return s[:enough] + "[...]"
	}
	return s
}

func tail(s string) string {
	if len(s) > enough {
		return "[...]" + s[len(s)-enough:]
	}
	return s
}
