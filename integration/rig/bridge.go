package rig

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Bridge listens for programs that speak TLS and know no proxy: each connection is a
// CONNECT to a host through certproxy. It returns the address.
func Bridge(t testing.TB, p *Certproxy, host string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	open := &opened{conns: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		l.Close()
		open.closeAll()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { bridge(open, client, p.Addr, host) })
		}
	})
	return l.Addr().String()
}

func bridge(open *opened, client net.Conn, proxy, host string) {
	defer client.Close()
	server, err := net.Dial("tcp4", proxy)
	if err != nil {
		return // whoever came sees the connection end
	}
	defer server.Close()
	if !open.add(client, server) {
		return
	}
	defer open.remove(client, server)
	fmt.Fprintf(server, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	in := bufio.NewReader(server)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(client, in)
		client.(*net.TCPConn).CloseWrite()
	})
	io.Copy(server, client)
	server.(*net.TCPConn).CloseWrite()
	back.Wait()
}

// opened are the connections that end with the test.
type opened struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func (o *opened) add(conns ...net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range conns {
		o.conns[c] = true
	}
	return !o.closed
}

func (o *opened) remove(conns ...net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range conns {
		delete(o.conns, c)
	}
}

func (o *opened) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for c := range o.conns {
		c.Close()
	}
}
