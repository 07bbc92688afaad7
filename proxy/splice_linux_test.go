package proxy

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// pipesOpen counts this process's pipe ends.
func pipesOpen(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// A tunnel in which nothing moves holds its two connections and no pipe.
func TestIdleTunnelsHoldNoPipes(t *testing.T) {
	r := newRig(t)
	host := echo(t)
	before := pipesOpen(t)
	for range 100 {
		c, br, _ := r.connect(host)
		say(c, "once around")
		if _, err := io.ReadFull(br, make([]byte, len("once around"))); err != nil {
			t.Fatal(err)
		}
	}
	if n := pipesOpen(t) - before; n > 2*freePipes {
		t.Errorf("100 idle tunnels hold %d ends of pipes", n)
	}
	eventually(t, "the last pipes are closed", func() bool { return pipesOpen(t) <= before })
}

// Many tunnels at once share pipes; none must see another's bytes.
func TestTunnelsNeverMixTheirBytes(t *testing.T) {
	r := newRig(t)
	host := echo(t)
	const tunnels, size = 40, 1 << 20
	errs := make(chan string, tunnels)
	for i := range tunnels {
		c, br, _ := r.connect(host)
		go func() {
			sent := bytes.Repeat([]byte{byte(i), byte(i >> 4), 'x'}, size/3)
			go func() {
				_, _ = c.Write(sent)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(br)
			switch {
			case err != nil:
				errs <- err.Error()
			case !bytes.Equal(got, sent):
				errs <- "the bytes that came back are others"
			default:
				errs <- ""
			}
		}()
	}
	for range tunnels {
		if e := <-errs; e != "" {
			t.Error(e)
		}
	}
}
