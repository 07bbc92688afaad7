package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// Each limit is far below its default, so what ends within the test ends by the file.
func TestTheTimeLimitsOfTheFileHold(t *testing.T) {
	const soon = 5 * time.Second // half of the shortest default
	dial := func(t *testing.T, r *configureRig, say string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(soon))
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	ends := func(t *testing.T, in io.Reader) {
		t.Helper()
		if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection was not ended within %v", soon)
		}
	}
	connect := func(t *testing.T, r *configureRig) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, in := dial(t, r, fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", r.server, r.server))
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("CONNECT: %+v, %v", resp, err)
		}
		resp.Body.Close()
		return c, in
	}
	t.Run("header_timeout", func(t *testing.T) {
		r := newConfigureRig(t, "header_timeout: 100ms\n", false)
		_, in := dial(t, r, "GET http://")
		ends(t, in)
	})
	t.Run("handshake_timeout", func(t *testing.T) {
		r := newConfigureRig(t, "handshake_timeout: 100ms\n", false)
		_, in := connect(t, r)
		ends(t, in)
	})
	t.Run("idle_timeout", func(t *testing.T) {
		r := newConfigureRig(t, "idle_timeout: 100ms\n", false)
		_, in := dial(t, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // said to the proxy itself, which answers
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		ends(t, in)
	})
	t.Run("drain_timeout", func(t *testing.T) {
		r := newConfigureRig(t, "drain_timeout: 100ms\nhandshake_timeout: 1h\n", false)
		connect(t, r) // which holds the end up
		r.stop()
		select {
		case err := <-r.ended:
			r.ended <- err
		case <-time.After(2 * soon):
			t.Error("what was in flight held the end up for longer")
		}
	})
}
