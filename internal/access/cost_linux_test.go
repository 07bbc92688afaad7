package access

import (
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Admission of a new connection costs under 100 µs of processor time, with thousands of
// other sockets in the kernel's tables: what is taken by connecting and accepting is
// taken off.
func TestAdmissionIsCheap(t *testing.T) {
	const most = 100 * time.Microsecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	for range 2000 {
		client, server := connect(t, l)
		crowd = append(crowd, client, server)
	}
	lookup := NewLookup()
	defer lookup.Close()

	// One run may meet a collection of garbage, or another process: the median counts.
	var costs []time.Duration
	for range 5 {
		without := perConnection(t, l, func(net.Conn) {})
		with := perConnection(t, l, func(c net.Conn) {
			if _, known := lookup.Peer(c).UID(); !known {
				t.Error("the peer is not known")
			}
		})
		costs = append(costs, with-without)
	}
	slices.Sort(costs)
	median := costs[len(costs)/2]
	t.Logf("%v of processor time for each new connection, median of %v", median, costs)
	if median > most {
		t.Errorf("admission takes %v of processor time for each new connection; want under %v", median, most)
	}
}

// perConnection returns the processor time, of program and kernel, in which a new
// connection is made, given to f and closed.
func perConnection(t *testing.T, l net.Listener, f func(net.Conn)) time.Duration {
	t.Helper()
	const n = 300
	var before, after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		t.Fatal(err)
	}
	for range n {
		client, server := connect(t, l)
		f(server)
		_ = client.Close()
		_ = server.Close()
	}
	if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
		t.Fatal(err)
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return time.Duration(spent) / n
}

// connect returns both ends of a new connection.
func connect(t *testing.T, l net.Listener) (client, server net.Conn) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}
