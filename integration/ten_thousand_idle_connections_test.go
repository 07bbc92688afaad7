package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// What an idle connection may take. docs/performance.md has 10 KB for an intercepted one
// and 11 KB for a tunnel; the rest is for a machine that gave the runtime less time to
// tidy up.
const (
	idleIntercepted = 20 << 10
	idleTunnel      = 20 << 10
)

// idle is how many connections there are: 10,000, or what the limit of descriptors
// leaves a process that needs so many for each.
func idle(t *testing.T, each int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const others = 200
	n := min(10_000, (int(limit.Max)-others)/each)
	if n < 10_000 {
		t.Logf("%d connections, for a process may have %d descriptors (ulimit -Hn)", n, limit.Max)
	}
	return n
}

// Not parallel: it looks at memory.
//
// 10,000 clients that have asked once and keep their connection cost little memory each,
// nobody else notices them, and what they took is given back.
func TestTenThousandIdleInterceptedConnections(t *testing.T) {
	f := newFaultField(t, "idle_timeout: 5m\n")
	conf := &tls.Config{RootCAs: f.proxy.Roots(t), NextProtos: []string{"http/1.1"}}
	n := idle(t, 1)
	before := f.proxy.Holds(t)
	conns := make([]net.Conn, n)
	leave := closeAll(t, conns)
	failures := storm(n, func(i int) error {
		c, err := f.proxy.Secure(f.faulty.Host(), conf)
		if err != nil {
			return err
		}
		conns[i] = c
		return askOnce(c, f.faulty.Host())
	})
	if len(failures) > 0 {
		t.Fatalf("%d of %d were not made, the first: %s", len(failures), n, failures[0])
	}
	f.vigil.During(t, func() { <-time.After(time.Second) })
	f.costs(t, before, n, idleIntercepted)
	for i := 0; i < n; i += 97 { // they are alive
		conns[i].SetDeadline(time.Now().Add(rig.Patience))
		if err := askOnce(conns[i], f.faulty.Host()); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	leave()
	f.faulty.Disconnect() // connections to it are kept for the next client
	f.proxy.Settles(t, before)
}

// Not parallel: it looks at memory.
//
// 10,000 idle tunnels likewise, of which each takes two descriptors.
func TestTenThousandIdleTunnels(t *testing.T) {
	f := newFaultField(t, "")
	n := idle(t, 2)
	authority := holder(t)
	before := f.proxy.Holds(t)
	conns := make([]net.Conn, n)
	leave := closeAll(t, conns)
	failures := storm(n, func(i int) (err error) {
		conns[i], err = f.proxy.Connect(authority)
		return err
	})
	if len(failures) > 0 {
		t.Fatalf("%d of %d were not made, the first: %s", len(failures), n, failures[0])
	}
	f.vigil.During(t, func() { <-time.After(time.Second) })
	f.costs(t, before, n, idleTunnel)
	for i := 0; i < n; i += 97 { // what goes in comes back
		conns[i].SetDeadline(time.Now().Add(rig.Patience))
		said, heard := strconv.Itoa(i), make([]byte, len(strconv.Itoa(i)))
		if _, err := io.WriteString(conns[i], said); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conns[i], heard); err != nil || string(heard) != said {
			t.Fatalf("tunnel %d: %q, %v", i, heard, err)
		}
	}
	leave()
	f.proxy.Settles(t, before)
}

// askOnce asks over a connection and reads the answer.
func askOnce(c net.Conn, host string) error {
	if _, err := fmt.Fprintf(c, "GET /1/0 HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	answer := make([]byte, 0, 1024)
	for {
		n, err := c.Read(answer[len(answer):cap(answer)])
		if answer = answer[:len(answer)+n]; err != nil {
			return err
		}
		if s := string(answer); len(s) > 4 && s[len(s)-4:] == "\r\n\r\n" {
			if s[:12] != "HTTP/1.1 200" {
				return fmt.Errorf("answered %.100q", s)
			}
			return nil
		}
	}
}

// costs waits until the connections take no more than they may. It is quiet meanwhile:
// certproxy gives memory back when no request comes for a second.
func (f *faultField) costs(t *testing.T, before rig.Holding, n, each int) {
	t.Helper()
	f.vigil.Pause(true)
	defer f.vigil.Pause(false)
	<-time.After(2 * time.Second)
	var now rig.Holding
	took := rig.Eventually(t, fmt.Sprintf("each of %d connections takes at most %d bytes", n, each), func() bool {
		now = f.proxy.Holds(t)
		return now.Resident-before.Resident <= n*each || raceDetected(t)
	})
	t.Logf("%d connections: before %v; now %v (%v later): %.1f KiB each", n, before, now, took.Round(10*time.Millisecond),
		float64(now.Resident-before.Resident)/float64(n)/1024)
}

// closeAll closes connections at the end of the test, or before.
func closeAll(t *testing.T, conns []net.Conn) func() {
	var once sync.Once
	closing := func() {
		once.Do(func() {
			for _, c := range conns {
				if raw, ok := c.(*tls.Conn); ok {
					c = raw.NetConn() // without a word: there are many
				}
				if c != nil {
					c.Close()
				}
			}
		})
	}
	t.Cleanup(closing)
	return closing
}

// holderVariable makes the tests' binary a [holder].
const holderVariable = "CERTPROXY_TEST_HOLDER"

// holder starts a process that echoes what comes over any number of connections. It is
// one of its own, for the descriptors of one are not enough for both ends. It returns
// its address.
func holder(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = rig.Environment(holderVariable + "=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it ends with its input
	})
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	return addr
}

// hold is the holder's main.
func hold() int {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(struct{ io.Writer }{c}, c) // until either end has enough
				c.Close()
			}()
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the tests end
	return 0
}
