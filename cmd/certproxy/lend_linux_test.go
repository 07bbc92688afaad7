package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Tunnels are open to everybody, and are made by a process of root's or of the owner of the
// certificates. At the door of another certproxy its connection must not count as theirs.
func TestATunnelLendsNobodyOurName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: root, to connect as another user; run the tests as root")
	}
	dir := t.TempDir()
	const host = "registry.example:5000"
	throwaway.SelfSigned(throwaway.Options{Name: "client"}).WritePair(dir+"/"+host, "client")
	private, err := startPrivateProxy(t.Context(), privateOptions{options: proxied("direct"), roots: []certs.Root{certs.Dir(dir)}, log: zap.NewNop(), refusals: &refusals{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = private.stop() }()

	ctx, cancel := context.WithCancel(t.Context())
	at, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, serveOptions{
			from: sources{flags: []config.Setting{preset("listen", "127.0.0.1:0"), preset("admin", "off"), preset("state", t.TempDir()), preset("certs", t.TempDir())}},
			log:  zap.NewNop(), level: zap.NewAtomicLevel(), listening: func(a net.Addr) { at <- a },
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	shared := (<-at).(*net.TCPAddr)

	for _, c := range []struct{ uid, status int }{{65534, http.StatusForbidden}, {0, http.StatusOK}} {
		conn := dialFrom(t, shared, c.uid)
		defer conn.Close()
		br := bufio.NewReader(conn)
		if status := connectTo(t, conn, br, private.addr); status != http.StatusOK {
			t.Fatalf("uid %d has no tunnel: %d", c.uid, status)
		}
		if status := connectTo(t, conn, br, host); status != c.status {
			t.Errorf("uid %d, through a tunnel of root's, at root's private proxy: %d, want %d", c.uid, status, c.status)
		}
	}
}

func connectTo(t *testing.T, conn net.Conn, br *bufio.Reader, authority string) (status int) {
	t.Helper()
	_, _ = io.WriteString(conn, "CONNECT "+authority+" HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// dialFrom connects with a socket that belongs to a user.
func dialFrom(t *testing.T, to *net.TCPAddr, uid int) net.Conn {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "client")
	defer f.Close()
	if err := syscall.Fchown(fd, uid, uid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}
