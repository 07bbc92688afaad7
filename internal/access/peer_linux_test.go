package access

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test binary is also the client that connects as somebody else.
const dialEnv = "ACCESS_TEST_DIAL"

func TestMain(m *testing.M) {
	if spec := os.Getenv(dialEnv); spec != "" {
		if err := client(spec); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// client opens connections, "count network address", says their ports, and keeps
// them open until its input ends.
func client(spec string) error {
	f := strings.Fields(spec)
	count, err := strconv.Atoi(f[0])
	if err != nil {
		return err
	}
	for range count {
		conn, err := net.Dial(f[1], f[2])
		if err != nil {
			return err
		}
		defer conn.Close()
		fmt.Println(conn.LocalAddr())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: root, to connect as another user; run the tests as root")
	}
}

// dialAs connects as a user and returns the addresses of its connections.
func dialAs(t *testing.T, cred *syscall.Credential, count int, addr net.Addr) []string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	// The race detector lets each process sleep a second at its end.
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", fmt.Sprintf("%s=%d %s %s", dialEnv, count, addr.Network(), addr)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
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
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	var addrs []string
	for len(addrs) < count && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Fatalf("the client as uid %d: %s", cred.Uid, lines.Text())
		}
		addrs = append(addrs, lines.Text())
	}
	if len(addrs) != count {
		t.Fatalf("the client as uid %d made %d of %d connections", cred.Uid, len(addrs), count)
	}
	return addrs
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func newLookup(t *testing.T) *Lookup {
	l := NewLookup()
	t.Cleanup(func() { l.Close() })
	return l
}

func wantUID(t *testing.T, p *Peer, way Way, want uint32) {
	t.Helper()
	if uid, known := p.UID(); !known || uid != want || p.Way != way || !p.Local {
		t.Errorf("peer = uid %d, known %v, way %d, local %v (%v), want uid %d, way %d, local", uid, known, p.Way, p.Local, p.Why, want, way)
	}
}

// wantGone is for clients that were root: a wrong answer here lends the keys to anybody.
func wantGone(t *testing.T, p *Peer) {
	t.Helper()
	if uid, known := p.UID(); known || !p.Local || !errors.Is(p.Why, ErrGone) {
		t.Errorf("peer = uid %d, known %v, local %v, why %v, want unknown and local, ErrGone", uid, known, p.Local, p.Why)
	}
}

func nobody() *syscall.Credential { return &syscall.Credential{Uid: 65534, Gid: 65534} }

func TestAClientOfAnotherUserIsFound(t *testing.T) {
	needRoot(t)
	lookup := newLookup(t)
	for _, c := range []struct{ name, listen, dial string }{
		{"IPv4", "127.0.0.1:0", ""},
		{"IPv6", "[::1]:0", ""},
		{"IPv4 to a dual-stack listener", "[::]:0", "127.0.0.1"},
		{"IPv4-mapped socket", "[::]:0", "mapped"},
		{"another loopback address", "0.0.0.0:0", "127.9.8.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t, "tcp", c.listen)
			to := *l.Addr().(*net.TCPAddr)
			if c.dial == "mapped" {
				fd := mappedDial(t, to.Port)
				wantUID(t, lookup.Peer(accept(t, l)), BySocketTable, 65534)
				unix.Close(fd)
				return
			}
			if c.dial != "" {
				to.IP = net.ParseIP(c.dial)
			}
			dialAs(t, nobody(), 1, &to)
			wantUID(t, lookup.Peer(accept(t, l)), BySocketTable, 65534)
		})
	}
}

// mappedDial connects an AF_INET6 socket to ::ffff:127.0.0.1, which Go's dialer never
// does. It is given to nobody, as if that user had made it.
func mappedDial(t *testing.T, port int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Fchown(fd, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet6{Port: port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestAUnixClientIsFoundWithItsGroups(t *testing.T) {
	needRoot(t)
	dir, err := os.MkdirTemp("/tmp", "access") //nolint:usetesting // another user has to get to it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l := listen(t, "unix", path)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	cred := &syscall.Credential{Uid: 65534, Gid: 7001, Groups: []uint32{7002, 7003}}
	dialAs(t, cred, 1, l.Addr())
	peer := newLookup(t).Peer(accept(t, l))
	wantUID(t, peer, ByCredentials, 65534)
	for gid, want := range map[uint32]bool{7001: true, 7002: true, 7003: true, 7004: false, 65534: false, 0: false} {
		if got := peer.in([]uint32{gid}); got != want {
			t.Errorf("in group %d: %v, want %v", gid, got, want)
		}
	}
}

func TestThirtyTwoUsersAtOnceAreNeverMixedUp(t *testing.T) {
	needRoot(t)
	const users, each = 32, 4
	l := listen(t, "tcp", "127.0.0.1:0")
	owners := map[string]uint32{}
	var conns []net.Conn
	for i := range uint32(users) {
		uid := 20001 + i
		for _, addr := range dialAs(t, &syscall.Credential{Uid: uid, Gid: uid}, each, l.Addr()) {
			owners[addr] = uid
			conns = append(conns, accept(t, l))
		}
	}
	lookup := newLookup(t)
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			for range 20 {
				wantUID(t, lookup.Peer(conn), BySocketTable, owners[conn.RemoteAddr().String()])
			}
		})
	}
	wg.Wait()
}

func connected(t *testing.T) (client *net.TCPConn, server net.Conn) {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn), accept(t, l)
}

// eof waits until the client's FIN is there.
func eof(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read = %v, want EOF", err)
	}
}

func TestAHalfClosedClientIsFound(t *testing.T) {
	client, server := connected(t)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eof(t, server)
	wantUID(t, newLookup(t).Peer(server), BySocketTable, uint32(os.Geteuid()))
}

func TestAClientThatClosedIsNobody(t *testing.T) {
	client, server := connected(t)
	client.Close()
	eof(t, server)
	raw, err := newLookup(t).tables.ask(asked(server))
	t.Logf("the kernel says of the orphan: %+v, %v", raw, err)
	wantGone(t, newLookup(t).Peer(server))
}

func TestAClientThatResetIsNobody(t *testing.T) {
	client, server := connected(t)
	client.SetLinger(0)
	client.Close()
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read = %v, want a reset", err)
	}
	wantGone(t, newLookup(t).Peer(server))
}

// A client on another machine can send its request and a reset behind it, before it is
// asked about. What it sent can be read all the same, so it must not pass for somebody here: to
// those tunnels are open.
func TestAClientOfAnotherMachineThatResetIsNobodyHere(t *testing.T) {
	client, server := connected(t)
	if _, err := client.Write([]byte("CONNECT")); err != nil {
		t.Fatal(err)
	}
	client.SetLinger(0)
	client.Close()
	if text, err := io.ReadAll(server); string(text) != "CONNECT" {
		t.Fatalf("read %q, %v; want what was sent before the reset", text, err)
	}
	elsewhere := netip.MustParseAddr("203.0.113.9")
	p := newLookup(t).Peer(fromElsewhere{server.(*net.TCPConn), &net.TCPAddr{IP: elsewhere.AsSlice(), Port: 4000}})
	if uid, known := p.UID(); known || p.Local || p.Addr != elsewhere || !errors.Is(p.Why, ErrGone) {
		t.Errorf("peer = uid %d, known %v, local %v, addr %v, why %v, want a peer of 203.0.113.9, ErrGone", uid, known, p.Local, p.Addr, p.Why)
	}
	everybody, err := Parse(Lists{Users: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Request{{Use: Tunnel, Host: "a:443"}, {Use: Identities, Host: "a:443", Global: everybody}} {
		if Decide(p, r) == nil {
			t.Errorf("it may: %+v", r)
		}
	}
}

// fromElsewhere is a connection that was accepted from another machine.
type fromElsewhere struct {
	*net.TCPConn
	from net.Addr
}

func (c fromElsewhere) RemoteAddr() net.Addr { return c.from }

func TestAConnectionThatWeEndedIsOfNobody(t *testing.T) {
	client, server := connected(t)
	client.Close()
	eof(t, server)
	server.(*net.TCPConn).CloseWrite() // the client's end is in TIME_WAIT
	wantGone(t, newLookup(t).Peer(server))
}

// asked returns the question about the other end of a connection.
func asked(conn net.Conn) question {
	return question{
		local:  conn.RemoteAddr().(*net.TCPAddr).AddrPort(),
		remote: conn.LocalAddr().(*net.TCPAddr).AddrPort(),
	}
}

// The client's socket and its addresses are those of a living connection of root's, but the
// descriptor that we hold is not its other end: as after a port was taken over.
func TestAnotherConnectionUnderTheSameAddressesIsNotBelieved(t *testing.T) {
	_, server := connected(t)
	_, other := connected(t)
	lookup := newLookup(t)
	ask := func(conn net.Conn) (err error) {
		raw, rawErr := conn.(syscall.Conn).SyscallConn()
		if rawErr != nil {
			t.Fatal(rawErr)
		}
		rawErr = raw.Control(func(fd uintptr) { _, err = lookup.owner(int(fd), asked(server)) })
		return errors.Join(rawErr, err)
	}
	if err := ask(server); err != nil {
		t.Errorf("with its own descriptor: %v", err)
	}
	if err := ask(other); !errors.Is(err, ErrGone) {
		t.Errorf("with another descriptor: %v, want ErrGone", err)
	}
}

func TestAListenerOnTheClientsPortIsNotTheClient(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	local := l.Addr().(*net.TCPAddr).AddrPort()
	q := question{local: local, remote: netip.MustParseAddrPort("127.0.0.1:9")}
	if s, err := newLookup(t).tables.ask(q); !errors.Is(err, ErrGone) {
		t.Errorf("ask = %+v, %v, want ErrGone", s, err)
	}
}

func TestADisownedConnectionIsOfNobody(t *testing.T) {
	lookup := newLookup(t)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l := listen(t, "tcp", addr)
		at := l.Addr().(*net.TCPAddr)
		for _, to := range []string{"127.0.0.1", "::1"} {
			if ip := net.ParseIP(to); !at.IP.IsUnspecified() && !at.IP.Equal(ip) {
				continue
			}
			for _, disowned := range []bool{true, false} {
				var d net.Dialer
				if disowned {
					d.Control = func(network, _ string, c syscall.RawConn) error { return Disown(network, c) }
				}
				conn, err := d.Dial("tcp", net.JoinHostPort(to, strconv.Itoa(at.Port)))
				if err != nil {
					t.Fatal(err)
				}
				peer := lookup.Peer(accept(t, l))
				if _, known := peer.UID(); known == disowned || !peer.Local || disowned && !errors.Is(peer.Why, ErrDisowned) {
					t.Errorf("%s to %s, disowned %v: known %v, local %v, %v", to, addr, disowned, known, peer.Local, peer.Why)
				}
				_ = conn.Close()
			}
		}
	}
}

func TestAnOverflowUIDIsNobody(t *testing.T) {
	inContainer := idMap{overflow: 65534, ambiguous: true}
	for _, c := range []struct {
		m    idMap
		id   uint32
		want error
	}{
		{idMap{overflow: 65534}, 65534, nil},
		{inContainer, 65534, ErrUnmapped},
		{inContainer, 0, nil},
		{idMap{overflow: 65534}, 1<<32 - 1, ErrUnmapped},
	} {
		if err := c.m.real(c.id); !errors.Is(err, c.want) {
			t.Errorf("%+v: real(%d) = %v, want %v", c.m, c.id, err, c.want)
		}
	}
	if mapsEverybody("0 1000 1\n") || !mapsEverybody("         0          0 4294967295\n") {
		t.Error("a uid_map is misread")
	}
}

func FuzzParseAnswer(f *testing.F) {
	q := question{local: netip.MustParseAddrPort("127.0.0.1:5"), remote: netip.MustParseAddrPort("127.0.0.1:6")}
	good := make([]byte, answerSize)
	native := binary.NativeEndian
	native.PutUint32(good, answerSize)
	native.PutUint16(good[4:], diagByFamily)
	native.PutUint32(good[8:], 7)
	good[16], good[17] = unix.AF_INET, 1
	copy(good[20:], q.message(7)[headerSize+8:][:36])
	native.PutUint32(good[84:], 99)
	if s, mine, err := parseAnswer(good, 7, q); err != nil || !mine || s.inode != 99 {
		f.Fatalf("a good answer: %+v, %v, %v", s, mine, err)
	}
	f.Add(good)
	f.Add(good[:40])
	marked := append(append([]byte{}, good...), 5, 0, diagTOS, 0, mark, 0, 0, 0)
	native.PutUint32(marked, uint32(len(marked)))
	if s, _, err := parseAnswer(marked, 7, q); err != nil || !s.disowned {
		f.Fatalf("a marked answer: %+v, %v", s, err)
	}
	f.Add(marked)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, mine, err := parseAnswer(b, 7, q)
		if err == nil && mine && (len(b) < answerSize || native.Uint32(b[8:]) != 7 || binary.BigEndian.Uint16(b[20:]) != 5) {
			t.Errorf("%x is believed: %+v", b, s)
		}
	})
}

func BenchmarkPeer(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	server, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	lookup := NewLookup()
	defer lookup.Close()
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	for b.Loop() {
		if _, known := lookup.Peer(server).UID(); !known {
			b.Fatal("unknown")
		}
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N)/1000, "cpu-µs/op")
}
