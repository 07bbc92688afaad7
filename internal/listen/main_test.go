//go:build linux

package listen

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asChild makes the test binary a process that listens: its value is the spec.
const asChild = "LISTEN_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(asChild); text != "" {
		if err := child(text); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child waits for a line and the moment that it names, opens a listener, says so in a line, and tells each client its
// process number until its standard input ends.
func child(text string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return err
	}
	for time.Now().UnixNano() < at { // a timer would wake each of several processes at another moment
	}
	spec, err := Parse(text)
	if err != nil {
		return err
	}
	ls, err := Open(context.Background(), []Spec{spec}, Options{})
	if err != nil {
		return err
	}
	fmt.Println("listening")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ls[0].Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, os.Getpid())
			c.Close()
		}
	}()
	_, _ = io.Copy(io.Discard, in)
	err = ls[0].Close()
	<-ended
	return err
}

// A process is a child of the test.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, spec string) *process {
	t.Helper()
	return startAs(t, os.Args[0], nil, spec)
}

// startAs starts a copy of the test binary as another user; nil is this one.
func startAs(t *testing.T, binary string, user *syscall.Credential, spec string) *process {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	cmd.Env = append(os.Environ(), asChild+"="+spec, "GORACE=atexit_sleep_ms=0") // the race detector's process ends a second late
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &process{cmd: cmd, in: in, out: bufio.NewReader(out)}
}

// begin lets it open its listener at a moment.
func (p *process) begin(t *testing.T, at time.Time) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, at.UnixNano()); err != nil {
		t.Fatal(err)
	}
}

// says returns its next line.
func (p *process) says() string {
	line, _ := p.out.ReadString('\n')
	return strings.TrimSpace(line)
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.in.Close()
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait()
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// answers returns the number of the process that serves a path.
func answers(t *testing.T, path string) int {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// open1 opens one listener, which is closed with the test.
func open1(t *testing.T, text string, o Options) *Listener {
	t.Helper()
	ls, err := Open(t.Context(), []Spec{mustParse(t, text)}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ls[0].Close() })
	return ls[0]
}

// refused opens one listener and returns why it cannot be.
func refused(t *testing.T, text string, o Options, wants ...string) {
	t.Helper()
	ls, err := Open(t.Context(), []Spec{mustParse(t, text)}, o)
	if err == nil {
		ls[0].Close()
		t.Errorf("%s: opened, want an error with %q", text, wants)
		return
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error\n%s\nhas no %q", text, err, want)
		}
	}
}
