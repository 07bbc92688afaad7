package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The fidelity tests hold that what passes through an intercepted connection is
// what was sent. They see the proxy from outside, between a client and a server.

const (
	proto10 = "HTTP/1.0"
	proto11 = "HTTP/1.1"
	proto2  = "HTTP/2"
)

// A way is one way through the proxy: the client's protocol, and one pair or several.
// The code differs there: where another pair could follow, a request is kept so that
// it can be sent again.
type way struct {
	*rig
	proto string
	pairs []string
	host  string // authority of the server; see serve
}

// everyWay runs a test on each way: with the protocols given, each with one pair and
// with three of which the last is the good one.
func everyWay(t *testing.T, protos []string, test func(t *testing.T, w *way)) {
	t.Helper()
	for _, proto := range protos {
		for _, pairs := range [][]string{{"good"}, {"bad-alert", "bad-status", "good"}} {
			t.Run(fmt.Sprintf("%s, pairs: %d", proto, len(pairs)), func(t *testing.T) {
				w := &way{rig: newRig(t), proto: proto, pairs: pairs}
				test(t, w)
				if !t.Failed() {
					eventually(t, "an attempt with each pair", w.triedAll)
				}
			})
		}
	}
}

// triedAll reports whether the pairs were tried in their order: a test that went
// another way would show nothing. An attempt is told when it is over, so others may
// be told in between.
func (w *way) triedAll() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.pairs
	for _, attempt := range w.attempts {
		if len(left) > 0 && strings.HasPrefix(attempt, left[0]+" ") {
			left = left[1:]
		}
	}
	return len(left) == 0
}

// serve starts the server of the way's host, which is the handler for the pair
// "good". It refuses "bad-alert" in the handshake and "bad-status" with 403.
func (w *way) serve(h http.HandlerFunc, change ...func(*httptest.Server)) {
	w.t.Helper()
	w.host = w.server(func(rw http.ResponseWriter, req *http.Request) {
		if name(req) != "good" {
			rw.Header().Set("Connection", "close") // or Go's server would wait for the body first
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		h(rw, req)
	}, append(change, rejecting("bad-alert"))...)
	w.list(w.host, w.pairs...)
}

// client returns a client that speaks the way's protocol.
func (w *way) client() *http.Client {
	switch w.proto {
	case proto10:
		return &http.Client{Transport: transport10{w.rig}}
	case proto11:
		return w.rig.client(1)
	}
	return w.rig.client(2)
}

// request makes a request for the way's host.
func (w *way) request(method, target string, body io.Reader) *http.Request {
	w.t.Helper()
	req, err := http.NewRequest(method, "https://"+w.host+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return req
}

// send sends a request and returns the answer, read to its end.
func (w *way) send(req *http.Request) (*http.Response, string) {
	w.t.Helper()
	resp, err := w.client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %q, then %v", req.Method, req.URL.Path, body, err)
	}
	return resp, string(body)
}

// A transport10 sends each request as HTTP/1.0, on a connection of its own and
// without a Host field, which that version does not know.
type transport10 struct{ rig *rig }

// RoundTrip implements http.RoundTripper.
func (t transport10) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, br := t.rig.secure(req.URL.Host, "localhost")
	buffered := bufio.NewWriter(conn)
	_, _ = fmt.Fprintf(buffered, "%s %s HTTP/1.0\r\n", req.Method, req.URL.RequestURI())
	_ = req.Header.Write(buffered)
	if req.Body != nil && req.ContentLength >= 0 {
		_, _ = fmt.Fprintf(buffered, "Content-Length: %d\r\n\r\n", req.ContentLength)
		_, _ = io.Copy(buffered, req.Body)
	} else {
		_, _ = buffered.WriteString("\r\n")
	}
	if err := buffered.Flush(); err != nil {
		return nil, err
	}
	return http.ReadResponse(br, req)
}

// verbatim is a handler that answers with these bytes and ends the connection, for what
// Go's server would not send.
func verbatim(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
}

// await returns what another goroutine sends, or fails the test when nothing comes.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not come within 10 s", what)
		panic("not reached")
	}
}

// hold keeps a handler waiting for the test, and no longer than the test runs.
func hold(t *testing.T, c <-chan struct{}) {
	select {
	case <-c:
	case <-t.Context().Done():
	}
}

// deadline is when a wait for bytes on a connection has failed.
func deadline() time.Time { return time.Now().Add(10 * time.Second) }
