package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// statusAs asks for a page over a socket that another user owns, and returns the status.
// It is the file system uid with which a socket is made that owns it.
func statusAs(t *testing.T, uid int, addr, path string) int {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	_ = syscall.Setfsuid(uid) // it tells no error
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	_ = syscall.Setfsuid(os.Geteuid())
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(file, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
	resp, err := http.ReadResponse(bufio.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// The kernel says who asks: a user who is not named sees health alone.
func TestOtherUsersSeeHealthAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: root, to become another user; run the tests as root")
	}
	for name, c := range map[string]struct {
		users []string
		page  int
	}{
		"not named":      {nil, http.StatusForbidden},
		"named":          {[]string{"65534"}, http.StatusOK},
		"everybody":      {[]string{"*"}, http.StatusOK},
		"another's name": {[]string{"1"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := newAdminRig(t, preset("admin", "127.0.0.1:0"), preset("admin_users", c.users...))
			for path, want := range map[string]int{"/": c.page, "/metrics": c.page, "/healthz": http.StatusOK, "/readyz": http.StatusOK} {
				if got := statusAs(t, 65534, r.addr, path); got != want {
					t.Errorf("GET %s as uid 65534: %d, want %d", path, got, want)
				}
			}
		})
	}
}
