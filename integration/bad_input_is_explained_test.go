package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// nobody is the user and group without rights of its own.
const nobody = 65534

// What keeps serve from starting is said in one line that names it, and the exit
// status tells a failure (1) from a mistake on the command line (2).
func TestServeExplainsWhyItCannotStart(t *testing.T) {
	t.Parallel()
	occupied, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { occupied.Close() }) // the subtests outlive this function

	for _, c := range []struct {
		name  string
		user  uint32
		setUp func(t *testing.T, certs, state string) (args []string)
		exit  int
		names []string // what the message has to mention; STATE and CERTS stand for the directories
	}{
		{name: "the state directory cannot be written", user: nobody, exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				if err := os.Mkdir(state, 0o755); err != nil {
					t.Fatal(err)
				}
				return nil
			}, names: []string{"STATE", "cannot be written", "nobody", "--state"}},
		{name: "the state directory cannot be made", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				rig.Write(t, filepath.Dir(state), filepath.Base(state), nil, 0o644)
				return nil
			}, names: []string{"STATE", "not a directory"}},
		{name: "ca.key is corrupt", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "ca", "init", "--state", state}})
				rig.Write(t, state, "ca.key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600)
				return nil
			}, names: []string{"STATE/ca.key"}},
		{name: "ca.key belongs to another certificate", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				other := filepath.Join(t.TempDir(), "other")
				for _, dir := range []string{state, other} {
					rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "ca", "init", "--state", dir}})
				}
				rig.Write(t, state, "ca.key", rig.Read(t, filepath.Join(other, "ca.key")), 0o600)
				return nil
			}, names: []string{"STATE/ca.key"}},
		{name: "ca.crt is missing", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "ca", "init", "--state", state}})
				if err := os.Remove(filepath.Join(state, "ca.crt")); err != nil {
					t.Fatal(err)
				}
				return nil
			}, names: []string{"STATE", "ca.crt"}},
		{name: "the port is in use", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				return []string{"--listen", occupied.Addr().String()}
			}, names: []string{occupied.Addr().String(), "in use"}},
		{name: "the address is not one", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string {
				return []string{"--listen", "127.0.0.1"}
			}, names: []string{"127.0.0.1", "HOST:PORT"}},
		{name: "the listener is for others too", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string {
				return []string{"--listen", "0.0.0.0:0"}
			}, names: []string{"0.0.0.0:0", "loopback"}},
		{name: "the root is a file", exit: 1,
			setUp: func(t *testing.T, certs, state string) []string {
				if err := os.Remove(certs); err != nil {
					t.Fatal(err)
				}
				rig.Write(t, filepath.Dir(certs), filepath.Base(certs), nil, 0o644)
				return nil
			}, names: []string{"CERTS", "is a file"}},
		{name: "a flag is misspelt", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string { return []string{"--cert", certs} },
			names: []string{"--cert"}},
		{name: "an argument too many", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string { return []string{"now"} },
			names: []string{"now"}},
		{name: "the log level is none", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string { return []string{"--log-level", "loud"} },
			names: []string{"loud", "debug"}},
		{name: "the log format is none", exit: 2,
			setUp: func(t *testing.T, certs, state string) []string { return []string{"--log-format", "xml"} },
			names: []string{"xml", "json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := rig.Dir(t)
			certs, state := filepath.Join(dir, "certs.d"), filepath.Join(dir, "state")
			if err := os.Mkdir(certs, 0o755); err != nil {
				t.Fatal(err)
			}
			args := []string{binaryFor(t, dir), "serve", "--certs", certs, "--state", state, "--log-format", "json"}
			more := c.setUp(t, certs, state)
			if !strings.Contains(strings.Join(more, " "), "--listen ") {
				args = append(args, "--listen", "127.0.0.1:0")
			}
			got := rig.Run(t, rig.Command{Args: append(args, more...), User: c.user})
			if got.Exit != c.exit {
				t.Errorf("exit status %d; want %d", got.Exit, c.exit)
			}
			said := got.Stdout + got.Stderr
			for _, want := range c.names {
				want = strings.NewReplacer("STATE", state, "CERTS", certs).Replace(want)
				if !strings.Contains(said, want) {
					t.Errorf("the message does not mention %q", want)
				}
			}
			if strings.Contains(said, "goroutine ") || strings.Contains(said, "-----BEGIN") {
				t.Error("the message holds a stack trace or key material")
			}
			if t.Failed() {
				t.Logf("certproxy said:\n%s", said)
			}
		})
	}
}

// binaryFor is a certproxy that every user may run: the built one can lie in a
// directory that only its builder enters.
func binaryFor(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, "certproxy")
	if err := os.Link(rig.Binary(t), bin); err != nil {
		rig.Write(t, dir, "certproxy", rig.Read(t, rig.Binary(t)), 0o755)
	}
	return bin
}

// Whatever a client sends instead of a CONNECT, it gets an answer that says what
// was wrong, and the next client is served.
func TestMalformedConnectsAreAnswered(t *testing.T) {
	t.Parallel()
	s := rig.NginxNames(t, rig.NewIdentities(t, name))
	certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", name, s.Port)
	s.HostDir(certs, host, s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	client := proxy.Client(t)

	connect := func(authority string) string {
		return "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n"
	}
	for _, c := range []struct {
		name, send string
		status     int
	}{
		{"no port", connect(name), 400},
		{"an empty port", connect(name + ":"), 400},
		{"port 0", connect(name + ":0"), 400},
		{"a port too large", connect(name + ":65536"), 400},
		{"a port that overflows", connect(name + ":18446744073709551617"), 400},
		{"a port in words", connect(name + ":https"), 400},
		{"a signed port", connect(name + ":+443"), 400},
		{"no name", connect(":443"), 400},
		{"nothing", "CONNECT  HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"a path", connect("/etc/passwd:443"), 400},
		{"the parent directory", connect("..:443"), 400},
		{"the parent's neighbour", connect("../ssl:443"), 400},
		{"a path behind the port", connect(host + "/v2/"), 400},
		{"a backslash", connect(`..\ssl:443`), 400},
		{"a percent sign", connect("%2e%2e:443"), 400},
		{"an encoded slash", connect("a%2fb:443"), 400},
		{"user information", connect("user:password@" + host), 400},
		{"a NUL", connect("a\x00b:443"), 400},
		{"a space", connect("a b:443"), 400},
		{"a control character", connect("a\x7fb:443"), 400},
		{"half an IPv6 address", connect("[::1:443"), 400},
		{"an IPv6 address without brackets", connect("::1:443"), 400},
		{"an IPv6 zone", connect("[fe80::1%25lo]:443"), 400},
		{"a name of 300 letters", connect(strings.Repeat("a", 300) + ":443"), 400},
		{"a URL", connect("https://" + host + "/"), 400},
		{"an HTTP version to come", "CONNECT " + host + " HTTP/9.9\r\nHost: " + host + "\r\n\r\n", 505},
		{"no Host line, which only repeats it", "CONNECT " + host + " HTTP/1.1\r\n\r\n", 200},
		{"a header of 2 MiB", "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", 431},
		{"TLS to the plain port", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 156) + "\r\n\r\n", 400},
		{"no HTTP at all", "hello\r\n\r\n", 400},
		{"a request to the proxy itself", "GET / HTTP/1.1\r\nHost: " + proxy.Addr + "\r\n\r\n", 400},
		{"half a request", "CONNECT " + host + " HT", 400},
		{"a listed host, then no TLS", connect(host) + "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := exchange(t, proxy.Addr, c.send)
			if status != c.status {
				t.Errorf("answered %d %q; want %d", status, body, c.status)
			}
			if status >= 400 && strings.TrimSpace(body) == "" {
				t.Errorf("%d without a word about why", status)
			}
			if got := get(client, "https://"+host+"/"); got != "200 CN=good" {
				t.Errorf("the next client got %q", got)
			}
		})
	}
	if strings.Contains(proxy.Log(), "user:password") {
		t.Error("the log holds a password")
	}
}

// exchange sends bytes, ends its side, and returns the answer's status (0 for
// none) and what came with it until the proxy closed.
func exchange(t *testing.T, addr, send string) (status int, rest string) {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(rig.Patience))
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.WriteString(c, send) // the proxy may answer, and close, before it has all
		c.(*net.TCPConn).CloseWrite()
	}()
	defer func() { <-written }()
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, &http.Request{Method: "GET"})
	if err != nil {
		if nerr, ok := errors.AsType[net.Error](err); ok && nerr.Timeout() {
			t.Errorf("neither an answer nor a close within %v", rig.Patience)
		}
		return 0, ""
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body) // a reset after a refusal is no news
	return answer.StatusCode, string(body)
}
