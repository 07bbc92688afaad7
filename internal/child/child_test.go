//go:build linux

package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that runs a child ("parent"), and that child
// ("report"), which tells the signals it gets until it reads the line "end".
func TestMain(m *testing.M) {
	if len(os.Args) != 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "parent":
		code, err := Run(context.Background(), &exec.Cmd{Path: os.Args[0], Args: []string{os.Args[0], "report"}, Stdin: os.Stdin, Stdout: os.Stdout})
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	case "report":
		report()
	default:
		os.Exit(m.Run())
	}
}

func report() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	_, err := unix.IoctlGetTermios(0, unix.TCGETS)
	fmt.Println("ready, terminal:", err == nil)
	for {
		select {
		case sig := <-signals:
			fmt.Println("signal", sig)
		case line := <-lines:
			if line == "end" {
				os.Exit(7)
			}
		}
	}
}

func TestTheExitStatusIsTheCommandsOwn(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 255": 255, "kill -9 $$": 137, "kill -15 $$": 143} {
		path, err := Find("sh")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Run(t.Context(), &exec.Cmd{Path: path, Args: []string{"sh", "-c", script}})
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", script, got, err, want)
		}
	}
}

func TestTheEndOfTheContextEndsTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	go func() {
		_, _ = bufio.NewReader(read).ReadString('\n')
		cancel()
	}()
	path, err := Find("sh")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(ctx, &exec.Cmd{Path: path, Args: []string{"sh", "-c", "echo; exec sleep 600"}, Stdout: write})
	write.Close()
	if err != nil || got != 143 {
		t.Errorf("%d, %v; want 143", got, err)
	}
}

func TestWhatCannotBeRunIsExplained(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{"plain": "x", "noshebang": "echo hello\n", "lost": "#!/nonexistent/sh\n"} {
		mode := os.FileMode(0o755)
		if name == "plain" {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	for _, c := range []struct {
		name   string
		status int
		text   string
	}{
		{"", NotFound, "the command is empty; name one"},
		{"no-such-command", NotFound, "no-such-command: command not found; check its spelling and PATH, or, for what only a shell knows, use: sh -c '...'"},
		{"./no-such-command", NotFound, "./no-such-command: no such file or directory; check its spelling"},
		{"plain", NotExecutable, dir + "/plain: permission denied; make it executable: chmod +x '" + dir + "/plain'"},
		{"./plain", NotExecutable, "./plain: permission denied; make it executable: chmod +x './plain'"},
		{"noshebang", NotExecutable, dir + "/noshebang: it is neither a program of this machine nor a script; begin a script with a line such as #!/bin/sh"},
		{"lost", NotFound, dir + "/lost: the interpreter that its first line names, or its loader, is not there; look at: head -n 1 '" + dir + "/lost'"},
		{dir, NotExecutable, dir + ": it is a directory; name a program in it"},
	} {
		path, err := Find(c.name)
		if err == nil {
			_, err = Run(t.Context(), &exec.Cmd{Path: path, Args: []string{c.name}})
		}
		var fault *Error
		if !errors.As(err, &fault) || fault.Status != c.status || fault.Text != c.text {
			t.Errorf("%q: %v, want %d %q", c.name, err, c.status, c.text)
		}
	}
	t.Setenv("PATH", ".")
	if path, err := Find("noshebang"); err != nil || path == "" {
		t.Errorf("in a PATH with the current directory: %q, %v", path, err)
	}
}

// A parentProcess is one of the test binary that runs a child.
type parentProcess struct {
	*exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func (p *parentProcess) expect(t *testing.T, want string) {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("the child ended before it said %q: %v", want, err)
		}
		switch line = strings.TrimRight(line, "\r\n"); {
		case line == want:
			return
		default:
			t.Fatalf("the child said %q; want %q", line, want)
		}
	}
}

func (p *parentProcess) end(t *testing.T) {
	t.Helper()
	if _, err := p.in.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if got := p.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit status %d (%v), want 7", got, p.ProcessState)
	}
}

func TestSignalsArePassedOnOnce(t *testing.T) {
	stdin, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	output, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	p := &parentProcess{Cmd: exec.Command(os.Args[0], "parent"), in: input, out: bufio.NewReader(output)}
	p.Stdin, p.Stdout = stdin, stdout
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	stdout.Close()
	p.expect(t, "ready, terminal: false")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH} {
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "signal "+sig.String())
	}
	p.end(t)
}

// openPTY returns the two ends of a new terminal.
func openPTY(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("PREREQUISITE MISSING: terminals (/dev/ptmx): %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("PREREQUISITE MISSING: terminals (/dev/ptmx): %v", err)
	}
	modes, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Lflag &^= unix.ECHO // what is typed would stand among the output
	if err := unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

func TestATerminalsKeysReachTheCommandOnce(t *testing.T) {
	keyboard, terminal := openPTY(t)
	p := &parentProcess{Cmd: exec.Command(os.Args[0], "parent"), in: keyboard, out: bufio.NewReader(keyboard)}
	p.Stdin, p.Stdout, p.Stderr = terminal, terminal, terminal
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	p.expect(t, "ready, terminal: true")
	for key, sig := range map[string]syscall.Signal{"\x03": syscall.SIGINT, "\x1c": syscall.SIGQUIT} {
		if _, err := keyboard.WriteString(key); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "signal "+sig.String())
		// Had the key's signal been passed on too, it would come before this one.
		if err := p.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "signal "+syscall.SIGUSR1.String())
	}
	size := &unix.Winsize{Row: 50, Col: 100}
	if err := unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "signal "+syscall.SIGWINCH.String())
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "signal "+syscall.SIGTERM.String())
	if _, err := keyboard.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if got := p.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit status %d (%v), want 7", got, p.ProcessState)
	}
}
