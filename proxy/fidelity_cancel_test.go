package proxy

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A client that goes away must not leave a server working for nobody: it hears of
// it at once, whatever stage the request was in.

func TestAServerHearsThatAWaitingClientIsGone(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
				arrived, heard := make(chan struct{}, 1), make(chan time.Time, 1)
				w.serve(func(_ http.ResponseWriter, req *http.Request) {
					_, _ = io.Copy(io.Discard, req.Body)
					arrived <- struct{}{}
					hold(t, req.Context().Done())
					heard <- time.Now()
				})
				heardAtOnce(t, func() time.Duration {
					return w.leave(t, w.request(method, "/", strings.NewReader("a body")), arrived, heard)
				})
			})
		})
	}
}

func TestAServerHearsThatAReadingClientIsGone(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		arrived, heard := make(chan struct{}, 1), make(chan time.Time, 1)
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(rw, "the beginning")
			_ = http.NewResponseController(rw).Flush()
			arrived <- struct{}{}
			hold(t, req.Context().Done())
			heard <- time.Now()
		})
		heardAtOnce(t, func() time.Duration { return w.leave(t, w.request("GET", "/", nil), arrived, heard) })
	})
}

func TestAServerHearsThatAnUploadingClientIsGone(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		arrived, heard := make(chan struct{}, 1), make(chan time.Time, 1)
		w.serve(func(_ http.ResponseWriter, req *http.Request) {
			if _, err := io.ReadFull(req.Body, make([]byte, 4)); err != nil {
				return
			}
			arrived <- struct{}{}
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				t.Error("what was sent of the body came as a whole one")
			}
			heard <- time.Now()
		})
		heardAtOnce(t, func() time.Duration {
			pr, pw := io.Pipe()
			defer func() { _ = pw.Close() }()
			go func() { _, _ = io.WriteString(pw, "part") }()
			return w.leave(t, w.request("PUT", "/", pr), arrived, heard)
		})
	})
}

// heardAtOnce holds the time it takes below 100 ms, in the best of three: a busy
// machine delays one of them, a proxy that waits for something delays them all.
func heardAtOnce(t *testing.T, leave func() time.Duration) {
	t.Helper()
	took := []time.Duration{leave(), leave(), leave()}
	if slices.Min(took) > 100*time.Millisecond {
		t.Errorf("the server heard of it after %v", took)
	}
}

// leave sends a request, goes away when it has arrived, and returns how long it took
// until the server heard.
func (w *way) leave(t *testing.T, req *http.Request, arrived <-chan struct{}, heard <-chan time.Time) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := w.client()
	go func() { // until its own end, which a pipe as its body may hold up
		resp, err := client.Do(req.WithContext(ctx))
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	await(t, "the request", arrived)
	left := time.Now()
	cancel()
	return await(t, "the client's end", heard).Sub(left)
}
