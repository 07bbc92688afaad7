package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A DNS is a name server on a loopback address of its own; port 53, for a resolv.conf
// knows no other.
type DNS struct {
	Addr string // without the port

	mu      sync.Mutex
	answers map[string]DNSAnswer
	asked   map[string]int
}

// A DNSAnswer is what a name is answered with. The zero value is that there is no such
// name.
type DNSAnswer struct {
	IP     net.IP // of the name
	Fails  bool   // SERVFAIL
	Silent bool   // nothing is answered
}

// ServeDNS starts one that knows no name yet.
func ServeDNS(t testing.TB) *DNS {
	t.Helper()
	d := &DNS{answers: map[string]DNSAnswer{}, asked: map[string]int{}}
	var conn net.PacketConn
	var err error
	for range 20 { // the port is fixed, so the address is ours
		d.Addr = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 2+rand.IntN(250))
		if conn, err = net.ListenPacket("udp4", d.Addr+":53"); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.serve(conn)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return d
}

// Answer changes what a name is answered with, from now on.
func (d *DNS) Answer(name string, a DNSAnswer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[name+"."] = a
}

// Asked is how often a name's address was asked for.
func (d *DNS) Asked(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[name+"."]
}

// Under is the command under which a process asks this server, and no file of names.
func (d *DNS) Under(t testing.TB) []string {
	t.Helper()
	conf := Write(t, Dir(t), "resolv.conf", []byte("nameserver "+d.Addr+"\noptions timeout:1 attempts:1\n"), 0o644)
	return []string{"sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, conf}
}

func (d *DNS) serve(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := d.answer(buf[:n]); answer != nil {
			_, _ = conn.WriteTo(answer, from) // one that has gone
		}
	}
}

func (d *DNS) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	d.mu.Lock()
	a, known := d.answers[q.Name.String()]
	if q.Type == dnsmessage.TypeA {
		d.asked[q.Name.String()]++
	}
	d.mu.Unlock()
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	switch {
	case a.Silent:
		return nil
	case a.Fails:
		out.RCode = dnsmessage.RCodeServerFailure
	case !known:
		out.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		out.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
			Body: &dnsmessage.AResource{A: [4]byte(a.IP.To4())}}}
	}
	packed, err := out.Pack()
	if err != nil {
		return nil
	}
	return packed
}
