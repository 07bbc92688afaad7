package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Clients that go away at any point leave neither a goroutine nor a descriptor.
func TestNothingIsLeftAfter1000AbortedRequests(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = io.WriteString(w, "the beginning")
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done() // until the client's end has come through
	})
	unlisted := echo(t)
	r.list(host, "a", "b")
	abort := func(stage int) {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		target := host
		switch stage {
		case 0:
			_, _ = io.WriteString(c, "CONN")
			return
		case 1:
			target = unlisted
		}
		_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("CONNECT: %v, %v", resp, err)
			return
		}
		_ = resp.Body.Close()
		if stage == 1 {
			_, _ = io.WriteString(c, "some bytes")
		}
		if stage == 2 {
			_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01")) // the beginning of a ClientHello
		}
	}
	clients := map[int]*http.Client{1: r.client(1), 2: r.client(2)}
	cancelled := func(proto int) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := clients[proto].Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = resp.Body.Read(make([]byte, 5))
		cancel()
		_ = resp.Body.Close()
	}
	round := func(n int) {
		var wait sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range n {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				switch i % 6 {
				case 4:
					cancelled(1)
				case 5:
					cancelled(2)
				default:
					abort(i % 6)
				}
			})
		}
		wait.Wait()
	}
	round(60)        // what is made once is made now
	idle := func() { // the clients' own connections are not what is counted
		clients[1].CloseIdleConnections()
		clients[2].CloseIdleConnections()
	}
	settled := func(goroutines, fds int) func() bool {
		return func() bool { idle(); return runtime.NumGoroutine() <= goroutines && descriptors(t) <= fds }
	}
	var goroutines, fds int
	eventually(t, "a quiet state", func() bool {
		idle()
		g, f := runtime.NumGoroutine(), descriptors(t)
		quiet := g == goroutines && f == fds
		goroutines, fds = g, f
		return quiet
	})
	round(1000)
	// A few idle upstream connections may be kept that were not there before.
	eventually(t, fmt.Sprintf("%d goroutines and %d descriptors, as before", goroutines, fds), settled(goroutines+8, fds+8))
}
