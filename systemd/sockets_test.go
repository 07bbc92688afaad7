//go:build linux

package systemd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// asChild makes the test binary a service that takes its sockets from systemd.
const asChild = "SYSTEMD_TEST_CHILD"

// promptEnd keeps the race detector from ending a child a second late.
const promptEnd = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child says what it was passed, a line for each socket, then "end", and answers one
// connection to each with the socket's name.
func child() {
	sockets, err := Sockets()
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	for _, s := range sockets {
		fmt.Println(s.Name, s.Listener.Addr().Network(), s.Listener.Addr())
	}
	for _, name := range []string{listenPID, listenFDs, listenNames, listenPIDFD} {
		if _, set := os.LookupEnv(name); set {
			fmt.Println("still set:", name)
		}
	}
	// A program that is started later has none of the sockets.
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil || strings.Contains(string(out), "socket:") {
		fmt.Println("a child has:", string(out), err)
	}
	if again, err := Sockets(); err != nil || len(again) != 0 {
		fmt.Println("the second time:", again, err)
	}
	fmt.Println("end")
	for _, s := range sockets {
		c, err := s.Listener.Accept()
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Fprint(c, s.Name)
		c.Close()
		s.Listener.Close()
	}
}

// A service is a child that was given descriptors as systemd gives them.
type service struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// start starts the test binary. The shell knows the process number, which LISTEN_PID needs
// and which stays the same over exec, as in systemd's own child.
func start(t *testing.T, pid, fds, names string, files ...*os.File) *service {
	t.Helper()
	cmd := exec.Command("sh", "-c", `[ "$LISTEN_PID" = self ] && LISTEN_PID=$$; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1", promptEnd, listenPID+"="+pid, listenFDs+"="+fds, listenNames+"="+names, listenPIDFD+"=1")
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &service{cmd: cmd, out: bufio.NewReader(out)}
}

// says returns what the child says before it ends, or begins to answer.
func (s *service) says() string {
	var all strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil || line == "end\n" {
			return all.String()
		}
		all.WriteString(line)
	}
}

// file returns the descriptor of a listener, to be passed on.
func file(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func listen(t *testing.T, network, address string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return file(t, l.(interface{ File() (*os.File, error) })), l.Addr()
}

func TestSocketsOfAProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.sock")
	tcp, tcpAddr := listen(t, "tcp4", "127.0.0.1:0")
	local, unixAddr := listen(t, "unix", path)
	other, otherAddr := listen(t, "tcp4", "127.0.0.1:0")
	s := start(t, "self", "3", "web:certproxy.socket:web", tcp, local, other)
	want := fmt.Sprintf("web tcp %s\ncertproxy.socket unix %s\nweb tcp %s\n", tcpAddr, path, otherAddr)
	if got := s.says(); got != want {
		t.Fatalf("it says\n%swant\n%s", got, want)
	}
	for _, c := range []struct {
		addr net.Addr
		name string
	}{{tcpAddr, "web"}, {unixAddr, "certproxy.socket"}, {otherAddr, "web"}} {
		conn, err := net.Dial(c.addr.Network(), c.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		name, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(name) != c.name {
			t.Errorf("%s answers %q, %v", c.addr, name, err)
		}
	}
	if err := s.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of systemd is gone with the service: %v", err)
	}
}

func TestSocketsWithoutNames(t *testing.T) {
	tcp, addr := listen(t, "tcp4", "127.0.0.1:0")
	if got, want := start(t, "self", "1", "", tcp).says(), fmt.Sprintf("unknown tcp %s\n", addr); got != want {
		t.Errorf("it says %s, want %s", got, want)
	}
}

func TestSocketsOfAnotherProcess(t *testing.T) {
	for _, pid := range []string{"", "1", strconv.Itoa(os.Getpid())} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"=1", promptEnd, listenPID+"="+pid, listenFDs+"=1")
		out, err := cmd.Output()
		if err != nil || string(out) != "end\n" {
			t.Errorf("LISTEN_PID=%s: %s, %v", pid, out, err)
		}
	}
}

func TestSocketsThatAreNone(t *testing.T) {
	tcp, addr := listen(t, "tcp4", "127.0.0.1:0")
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	plain, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packets, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	seqpacket := os.NewFile(uintptr(packets), "seqpacket")
	defer seqpacket.Close()

	for name, c := range map[string]struct {
		fds, names string
		second     *os.File
		want       string
	}{
		"file":        {"2", "web:log", plain, `socket "log" (descriptor 4) that systemd passed is not a socket; use ListenStream=`},
		"udp":         {"2", "web:dns", file(t, udp.(*net.UDPConn)), `socket "dns" (descriptor 4) that systemd passed is not a stream socket; use ListenStream=`},
		"seqpacket":   {"2", "web:x", seqpacket, `socket "x" (descriptor 4) that systemd passed is not a stream socket`},
		"connection":  {"2", "web:peer", file(t, conn.(*net.TCPConn)), `socket "peer" (descriptor 4) that systemd passed does not listen; use Accept=no`},
		"too few":     {"3", "web:a:b", tcp, `socket "b" (descriptor 5) that systemd passed is not `},
		"fewer names": {"2", "web", tcp, `LISTEN_FDNAMES="web" is not 2 names for the 2 sockets of LISTEN_FDS; the variable is systemd's to set`},
		"more names":  {"2", "web:a:b", tcp, "is not 2 names"},
		"no number":   {"two", "", tcp, `LISTEN_FDS="two" is not the number of sockets`},
		"negative":    {"-1", "", tcp, `LISTEN_FDS="-1" is not the number of sockets`},
		"absurd":      {"99999999999", "", tcp, `LISTEN_FDS="99999999999" is not the number of sockets`},
		"many":        {"60000", "", tcp, "that systemd passed is not "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := start(t, "self", c.fds, c.names, tcp, c.second).says(); !strings.HasPrefix(got, "error: ") || !strings.Contains(got, c.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("it says %s, want %s", got, c.want)
			}
		})
	}
	if got := start(t, "12x", "1", "", tcp).says(); !strings.Contains(got, `LISTEN_PID="12x" is not the number of a process`) {
		t.Errorf("it says %s", got)
	}
}

// systemd itself, or the part of it that needs no service manager.
func TestSocketsOfSystemd(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skipf("PREREQUISITE MISSING: %v; install the package systemd", err)
	}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a.sock"), filepath.Join(dir, "b.sock")
	cmd := exec.Command(activate, "--listen="+first, "--listen="+second, "--fdname=proxy:registry", "--setenv="+asChild+"=1", "--setenv="+promptEnd, os.Args[0])
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(said); lines.Scan() && !strings.Contains(lines.Text(), "Listening on "+second); {
	}
	answer := make(chan string, 1)
	go func() {
		c, err := net.Dial("unix", first) // starts the service
		if err != nil {
			answer <- err.Error()
			return
		}
		defer c.Close()
		text, _ := io.ReadAll(c)
		answer <- string(text)
	}()
	s := &service{cmd: cmd, out: bufio.NewReader(out)}
	if got, want := s.says(), "proxy unix "+first+"\nregistry unix "+second+"\n"; got != want {
		t.Errorf("it says\n%swant\n%s", got, want)
	}
	if got := <-answer; got != "proxy" {
		t.Errorf("it answers %q", got)
	}
}

// Whatever the variables hold, the answer is an error or as many names as sockets.
func FuzzPassed(f *testing.F) {
	f.Add("7", "2", "a:b")
	f.Add("7", "0", "")
	f.Add("07", "-1", ":")
	f.Fuzz(func(t *testing.T, pid, fds, text string) {
		values := map[string]string{listenPID: pid, listenFDs: fds, listenNames: text}
		count, names, err := passed(func(name string) string { return values[name] }, 7)
		if err != nil {
			if count != 0 || names != nil || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("%d, %q, %v", count, names, err)
			}
			return
		}
		if count != len(names) || count < 0 || count > 1<<16 {
			t.Errorf("%d sockets with %d names", count, len(names))
		}
	})
}
