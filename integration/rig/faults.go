package rig

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// A Fault is what is wrong with a host. The zero value is nothing.
type Fault struct {
	Name string
	// Wire stands between TCP and TLS.
	Wire func(net.Conn) net.Conn
	// Answer answers a request, and reports whether the next one may come.
	Answer func(*Deviation) bool
	// Harmless says that every request is answered well all the same.
	Harmless bool
	// Costly says that one of it is work for a processor: a few are enough.
	Costly bool
}

// A Deviation is where a host could answer honestly.
type Deviation struct {
	Conn   *tls.Conn
	Raw    net.Conn
	In     *bufio.Reader
	Honest []byte
	Over   <-chan struct{} // closed at the end of the test
}

// Poison is in no honest answer, and so must reach no client.
const Poison = "poison"

// HostFaults are those of hosts that their peers have to live with.
func HostFaults() []Fault {
	var offset atomic.Int64
	// Every byte of a handshake, and of an answer: some 1,000 and 300 to 3,000.
	at := func() int { return int(offset.Add(1)*53) % 4500 }
	return []Fault{
		{Name: "silent after the connection", Wire: func(c net.Conn) net.Conn { return &mute{Conn: c} }},
		{Name: "silent in the handshake", Wire: func(c net.Conn) net.Conn { return &mute{c, 600} }},
		{Name: "reset at any byte", Wire: func(c net.Conn) net.Conn { return &cut{c, at(), true} }},
		{Name: "ended at any byte", Wire: func(c net.Conn) net.Conn { return &cut{c, at(), false} }},
		{Name: "silent after the request", Answer: silent},
		{Name: "a byte at a time", Answer: slowly, Harmless: true},
		{Name: "promises more than it sends", Answer: replacing(func(a []byte) []byte {
			return bytes.Replace(a, []byte("Content-Length: "), []byte("Content-Length: 1"), 1)
		}, false)},
		{Name: "sends more than it promised", Answer: replacing(func(a []byte) []byte {
			return fmt.Appendf(a, "HTTP/1.1 200 OK\r\n%s: %s\r\nContent-Length: 6\r\n\r\n%s", PairHeader, Poison, Poison)
		}, true), Harmless: true},
		{Name: "two lengths", Answer: replacing(func(a []byte) []byte {
			return bytes.Replace(a, []byte("Content-Length: "), []byte("Content-Length: 7\r\nContent-Length: "), 1)
		}, true)},
		{Name: "a length and chunks", Answer: replacing(func(a []byte) []byte {
			return bytes.Replace(a, []byte("Content-Length: "), []byte("Transfer-Encoding: chunked, identity\r\nContent-Length: "), 1)
		}, true)},
		{Name: "chunks that lie", Answer: replacing(chunksThatLie, false)},
		{Name: "a header without end", Answer: flood("X-Flood: " + strings.Repeat("x", 4000) + "\r\n"), Costly: true},
		{Name: "interim answers without end", Answer: flood(""), Costly: true},
		{Name: "no HTTP", Answer: replacing(func([]byte) []byte { return []byte("220 smtp.example ESMTP\r\n") }, false)},
		{Name: "closes after each answer", Answer: replacing(func(a []byte) []byte { return a }, false), Harmless: true},
	}
}

func silent(d *Deviation) bool {
	// It ends when the peer does.
	_, _ = io.Copy(io.Discard, d.In)
	return false
}

// slowly sends the header a byte at a time, and then the rest.
func slowly(d *Deviation) bool {
	header := bytes.Index(d.Honest, []byte("\r\n\r\n")) + 4
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for i := range header {
		<-tick.C
		if _, err := d.Conn.Write(d.Honest[i : i+1]); err != nil {
			return false
		}
	}
	_, err := d.Conn.Write(d.Honest[header:])
	return err == nil
}

func replacing(change func([]byte) []byte, goesOn bool) func(*Deviation) bool {
	return func(d *Deviation) bool {
		_, err := d.Conn.Write(change(d.Honest))
		return err == nil && goesOn
	}
}

func chunksThatLie(a []byte) []byte {
	header, body, _ := bytes.Cut(a, []byte("\r\n\r\n"))
	at := bytes.Index(header, []byte("Content-Length: "))
	end := at + bytes.Index(append(header[at:len(header):len(header)], '\r'), []byte("\r"))
	header = append(append(header[:at:at], "Transfer-Encoding: chunked"...), header[end:]...)
	return append(fmt.Appendf(header, "\r\n\r\n%x\r\n", len(body)+3), body...)
}

// flood writes a header that has no end, or interim answers, until the peer has enough.
func flood(field string) func(*Deviation) bool {
	return func(d *Deviation) bool {
		piece := []byte(field)
		if field == "" {
			piece = []byte("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
		} else if _, err := io.WriteString(d.Conn, "HTTP/1.1 200 OK\r\n"); err != nil {
			return false
		}
		const most = 256 << 20
		for range most / len(piece) {
			if _, err := d.Conn.Write(piece); err != nil {
				return false
			}
		}
		return false
	}
}

// A mute connection swallows what is written to it, after so many bytes.
type mute struct {
	net.Conn
	left int
}

func (m *mute) Write(b []byte) (int, error) {
	n := min(m.left, len(b))
	m.left -= n
	if n == 0 {
		return len(b), nil
	}
	_, err := m.Conn.Write(b[:n])
	return len(b), err
}

// A cut connection ends after so many bytes, with a reset or without.
type cut struct {
	net.Conn
	left  int
	reset bool
}

func (c *cut) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	_, _ = c.Conn.Write(b[:c.left])
	if c.reset {
		abandon(c.Conn)
	} else {
		c.Close()
	}
	return 0, net.ErrClosed
}
