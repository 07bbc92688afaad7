//go:build linux

package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestOpenTCP(t *testing.T) {
	for text, beyond := range map[string]bool{"127.0.0.1:0": false, ":0": true, "0.0.0.0:0": true} {
		l := open1(t, text, Options{})
		if l.Beyond() != beyond {
			t.Errorf("%s: Beyond = %v", text, l.Beyond())
		}
		want := strings.TrimSuffix(text, "0") + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		if l.Address() != want || want == text {
			t.Errorf("%s: Address = %s, it listens on %s", text, l.Address(), l.Addr())
		}
		if again, err := Parse(l.Address()); err != nil || again.Beyond() != beyond {
			t.Errorf("%s: Address = %s, which is read as %v, %v", text, l.Address(), again, err)
		}
	}
}

// Package net would take the second for what the first already has.
func TestAddressesStandForThemselves(t *testing.T) {
	if _, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("PREREQUISITE MISSING: IPv6 on loopback: %v", err)
	}
	l := open1(t, "0.0.0.0:0", Options{})
	port := l.Addr().(*net.TCPAddr).Port
	open1(t, fmt.Sprintf("[::]:%d", port), Options{})
}

func TestConnectionsAreBare(t *testing.T) {
	l := open1(t, "127.0.0.1:0", Options{})
	dialed, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("connection is %T, which cannot be spliced", c)
	}
}

func TestOpenTeaches(t *testing.T) {
	busy := open1(t, "127.0.0.1:0", Options{})
	_, port, _ := net.SplitHostPort(busy.Address())
	refused(t, busy.Address(), Options{}, "cannot listen on "+busy.Address(), "the port is in use", "ss -ltnp 'sport = :"+port+"'")
	refused(t, "192.0.2.1:0", Options{}, "this machine does not have the address 192.0.2.1", "FreeBind=yes")
	refused(t, "[fe80::1%certproxy0]:0", Options{}, "cannot listen on [fe80::1%certproxy0]:0: ")
	refused(t, "tls:127.0.0.1:0", Options{}, "cannot listen on tls:127.0.0.1:0 without a certificate", "--listen-cert and --listen-key")
}

func TestOpenIsAllOrNone(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	specs := []Spec{mustParse(t, "127.0.0.1:0"), mustParse(t, "unix:"+path), mustParse(t, "192.0.2.1:0")}
	if ls, err := Open(t.Context(), specs, Options{}); err == nil || ls != nil {
		t.Fatalf("Open = %v, %v", ls, err)
	}
	isEmpty(t, path)
	ls, err := Open(t.Context(), specs[:2], Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range ls {
		if l.Index() != i || l.Spec() != specs[i] {
			t.Errorf("listener %d has Index %d and Spec %v", i, l.Index(), l.Spec())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenTwice(t *testing.T) {
	for _, two := range [][2]string{
		{"127.0.0.1:3128", "localhost:3128"}, {"127.0.0.1:3128", "tls:127.0.0.1:3128"},
		{"unix:/x", "unix:/x,mode=0666"}, {"systemd:a", "tls:systemd:a"},
	} {
		_, err := Open(t.Context(), []Spec{mustParse(t, two[0]), mustParse(t, two[1])}, Options{})
		if err == nil || !strings.Contains(err.Error(), "twice; remove one of the two") {
			t.Errorf("%v: %v", two, err)
		}
	}
	ls, err := Open(t.Context(), []Spec{mustParse(t, "127.0.0.1:0"), mustParse(t, "127.0.0.1:0")}, Options{})
	if err != nil || len(ls) != 2 || ls[0].Address() == ls[1].Address() {
		t.Fatalf("two of port 0: %v, %v", ls, err)
	}
	if err := closeAll(ls); err != nil {
		t.Error(err)
	}
}

func TestOpenNothing(t *testing.T) {
	if ls, err := Open(t.Context(), nil, Options{}); err != nil || len(ls) != 0 {
		t.Errorf("Open = %v, %v", ls, err)
	}
	if _, err := Open(t.Context(), []Spec{{}}, Options{}); err == nil {
		t.Error("the zero spec was opened")
	}
}

func TestPassedSockets(t *testing.T) {
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	path := t.TempDir() + "/b.sock"
	passed := []Passed{
		{Name: "web", Listener: listen("tcp", "127.0.0.1:0")},
		{Name: "other", Listener: listen("tcp", "127.0.0.1:0")},
		{Name: "web", Listener: listen("tcp", ":0")},
		{Name: "web", Listener: listen("unix", path)},
	}
	specs := []Spec{mustParse(t, "127.0.0.1:0"), mustParse(t, "systemd:web")}
	if got := Unused(passed, specs); len(got) != 1 || got[0] != "other" {
		t.Errorf("Unused = %q", got)
	}
	ls, err := Open(t.Context(), specs, Options{Passed: passed})
	if err != nil {
		t.Fatal(err)
	}
	if len(ls) != 4 {
		t.Fatalf("%d listeners, want one and the three that have the name", len(ls))
	}
	for i, want := range []struct {
		beyond  bool
		address string
	}{
		{false, ls[0].Addr().String()}, {false, passed[0].Listener.Addr().String()}, {true, passed[2].Listener.Addr().String()}, {false, "unix:" + path},
	} {
		if ls[i].Beyond() != want.beyond || ls[i].Address() != want.address || ls[i].Index() != min(i, 1) {
			t.Errorf("listener %d: Beyond %v, Address %s, Index %d", i, ls[i].Beyond(), ls[i].Address(), ls[i].Index())
		}
	}
	if err := closeAll(ls); err != nil {
		t.Error(err)
	}

	refused(t, "systemd:wbe", Options{Passed: passed}, `systemd passed "other", "web" and no "wbe"`, "FileDescriptorName=wbe")
	refused(t, "systemd:web", Options{}, "systemd passed no sockets", "systemctl start certproxy.socket")
}

// Passed sockets stay with the caller when another listener cannot be opened.
func TestPassedSocketsSurviveAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Open(t.Context(), []Spec{mustParse(t, "systemd:web"), mustParse(t, "192.0.2.1:0")}, Options{Passed: []Passed{{"web", l}}})
	if err == nil {
		t.Fatal("opened")
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the passed socket was closed: %v", err)
	}
	c.Close()
}

func TestCloseEndsAccept(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "unix:" + t.TempDir() + "/a.sock"} {
		l := open1(t, text, Options{})
		ended := make(chan error, 1)
		waiting := make(chan struct{})
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				c.Close()
				close(waiting)
			}
		}()
		c, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		<-waiting // it is in Accept again, or about to be
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Error(err)
		}
		c.Close()
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept ended with %v", text, err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the second Close says %v", text, err)
		}
	}
}

// An address that systemd listens on cannot be bound again: who names it means that socket.
func TestASpecTakesThePassedSocketOfItsAddress(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := t.TempDir() + "/s"
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	passed := []Passed{{Name: "a", Listener: tcp}, {Name: "b", Listener: unix}}
	port := strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)
	var specs []Spec
	for _, text := range []string{"127.0.0.1:" + port, "unix:" + path} {
		spec, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, spec)
	}
	got, err := Open(t.Context(), specs, Options{Passed: passed})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Listener != tcp || got[1].Listener != unix || got[0].Address() != "127.0.0.1:"+port || got[1].Address() != "unix:"+path {
		t.Errorf("took %v and %v", got[0].Address(), got[1].Address())
	}
	if names := Unused(passed, specs); len(names) > 0 {
		t.Errorf("unused: %q", names)
	}
	if names := Unused(passed, specs[:1]); len(names) != 1 || names[0] != "b" {
		t.Errorf("unused: %q; want b", names)
	}
	// All addresses are not this one.
	if all, err := Parse(":" + port); err != nil || all.is(tcp.Addr()) {
		t.Errorf("%v is taken for %v (%v)", tcp.Addr(), all, err)
	}
	// With an error what was passed stays open.
	bad, err := Parse("systemd:none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), append(specs, bad), Options{Passed: passed}); err == nil {
		t.Error("a name that was not passed is no error")
	}
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Error(err)
	} else {
		_ = client.Close()
	}
}
