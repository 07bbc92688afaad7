package rig

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Command is a program to run to its end.
type Command struct {
	Args  []string
	Env   []string // on top of [Environment]
	Dir   string   // working directory
	Input string
	User  uint32   // 0 is the user of the tests
	Names []string // resolve to 127.0.0.1 for it; nil leaves /etc/hosts alone
	// Within is how long it may take; 0 is two minutes.
	Within time.Duration
}

// A Result is how a command ended and what it said.
type Result struct {
	Exit           int
	Stdout, Stderr string
}

// Run runs the command; one that does not end in time fails the test.
func Run(t testing.TB, c Command) Result {
	t.Helper()
	args := c.Args
	if c.Names != nil {
		needNamespaces(t)
		args = resolving(t, t.TempDir(), c.Names, args)
	}
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(c.Within, 2*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = Environment(c.Env...)
	cmd.Dir = c.Dir
	cmd.Stdin = strings.NewReader(c.Input)
	if c.User != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.User, Gid: c.User}}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%q did not end: %v\n%s%s", c.Args, ctx.Err(), stdout.String(), stderr.String())
	}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// OK runs a command that has to succeed, and returns its standard output.
func OK(t testing.TB, c Command) string {
	t.Helper()
	r := Run(t, c)
	if r.Exit != 0 {
		t.Fatalf("%q: exit status %d\n%s%s", c.Args, r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// DocumentationPair makes client.cert and client.key in dir by the two commands of
// Docker's documentation, answering each question with its default.
func DocumentationPair(t testing.TB, dir string) {
	t.Helper()
	Need(t, "openssl")
	OK(t, Command{Dir: dir, Args: strings.Fields("openssl genrsa -out client.key 4096")})
	OK(t, Command{
		Dir:   dir,
		Args:  strings.Fields("openssl req -new -x509 -text -key client.key -out client.cert"),
		Input: strings.Repeat("\n", 10),
	})
	if !bytes.HasPrefix(Read(t, filepath.Join(dir, "client.cert")), []byte("Certificate:")) {
		t.Fatal("openssl req -text wrote no text before the certificate: the example is about that")
	}
}

// KillAfter starts a command and kills it with SIGKILL after a time.
func KillAfter(t testing.TB, d time.Duration, args []string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = Environment()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(d)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
}
