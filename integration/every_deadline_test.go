package integration

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// A host that keeps its peer waiting does so for as long as the settings say, whatever it
// is that it does not do. The deadlines of clients are in TestSlowClientsAreLetGo, what
// moves and so has none in proxy's TestATransferInMotionHasNoDeadline.
func TestEveryDeadlineOfHostsIsKept(t *testing.T) {
	const within = 600 * time.Millisecond
	f := newFaultField(t, fmt.Sprintf("handshake_timeout: %v\nattempt_timeout: %v\nconnect_timeout: %v\n", within, 2*within, 3*within))
	full := fullBacklog(t)
	f.faulty.HostDir(f.proxy.Certs, full, f.faulty.Good)
	if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	f.proxy.WaitLine(t, "reloaded", func(l rig.Line) bool { return strings.Contains(fmt.Sprint(l["added"]), full) })
	faults := map[string]rig.Fault{}
	for _, fault := range rig.HostFaults() {
		faults[fault.Name] = fault
	}
	for _, c := range []struct {
		name, host string
		fault      rig.Fault
		within     time.Duration
		says       string
	}{
		{"handshake_timeout", f.faulty.Host(), faults["silent after the connection"], within, "did not finish the TLS handshake in time"},
		{"attempt_timeout", f.faulty.Host(), faults["silent after the request"], 2 * within, "did not answer in time"},
		{"connect_timeout", full, rig.Fault{}, 3 * within, "connect_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.faulty.Be(&c.fault)
			f.faulty.Disconnect()
			f.vigil.During(t, func() {
				r := rig.Ask(f.proxy.Client(t), c.host, f.faulty.Pair, rig.Question{Down: 10})
				t.Logf("after %v: %.120s", r.Took.Round(time.Millisecond), r.Failed)
				if !strings.HasPrefix(r.Failed, "504") || !strings.Contains(r.Failed, c.says) {
					t.Errorf("answered %q; want 504 that says %q", r.Failed, c.says)
				}
				if r.Took < c.within || r.Took > c.within+2*time.Second {
					t.Errorf("after %v; want %v", r.Took, c.within)
				}
			})
		})
	}
}

// fullBacklog returns the authority of a listener that takes no connection any more: the
// kernel answers no further one.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	rig.Eventually(t, "the backlog is full", func() bool {
		c, err := net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", port), 200*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err != nil
	})
	return fmt.Sprintf("%s:%d", faultyName, port)
}

// certproxy is killed at random moments of its start, in which it makes its CA: another
// one with the same state directory then starts and serves. internal/ca does the same to
// the making alone, a hundred times.
func TestKillAtAnyMomentOfTheStartLeavesAStateThatServes(t *testing.T) {
	t.Parallel()
	s := rig.ServeHonest(t, name)
	certs := rig.Dir(t)
	s.HostDir(certs, s.Host(), s.Good)
	for i := range 12 {
		state := filepath.Join(rig.Dir(t), "state")
		args := []string{rig.Binary(t), "serve", "--certs", certs, "--state", state, "--listen", "127.0.0.1:0", "--admin", "off", "--log-format", "json"}
		rig.KillAfter(t, time.Duration(i)*6*time.Millisecond, args)
		proxy := rig.Serve(t, rig.Options{Certs: certs, State: state, Names: []string{name}})
		if r := rig.Ask(proxy.Client(t), s.Host(), s.Pair, rig.Question{Up: 10, Down: 10}); r.Failed+r.Wrong != "" {
			t.Errorf("killed %d ms after the start: %s%s", i*6, r.Failed, r.Wrong)
		}
		proxy.Stop(t)
	}
}
