package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// within returns settings in which a host may keep a request waiting for d.
func within(d time.Duration) func(*Config) {
	return func(c *Config) { c.Host = settings(func(s *HostSettings) { s.AttemptTimeout = d }) }
}

// silent reads a request and never answers.
func silent(_ testing.TB, c *tls.Conn, _ string) { _, _ = io.Copy(io.Discard, c) }

func TestAHostThatNeverAnswersIsATimeout(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		r := newRig(t, within(100*time.Millisecond))
		host := r.raw(silent)
		r.list(host, "a", "b")
		got, body := r.do(r.client(1), method, host, "/", map[string]string{"POST": "x"}[method])
		if got != http.StatusGatewayTimeout || !strings.Contains(body, host+" did not answer in time") || !strings.Contains(body, "attempt_timeout") {
			t.Errorf("%s: %d %q", method, got, body)
		}
		if tried := r.took(); len(tried) != 1 {
			t.Errorf("%s: attempts %v, want one: another pair cannot help", method, tried)
		}
	}
}

// The time is for all attempts together: the first takes most of it, and the second
// does not get it anew.
func TestTheTimeIsForAllAttemptsTogether(t *testing.T) {
	const patience = time.Second
	r := newRig(t, within(patience))
	host := r.raw(func(t testing.TB, c *tls.Conn, name string) {
		if name != "a" {
			silent(t, c, name)
			return
		}
		if header(bufio.NewReader(c)) != nil {
			<-time.After(patience * 3 / 4)
			say(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		}
	})
	r.list(host, "a", "b")
	began := time.Now()
	if got, _ := r.get(host, "/"); got != http.StatusGatewayTimeout {
		t.Errorf("%d", got)
	}
	if took := time.Since(began); took > patience*3/2 {
		t.Errorf("it took %v, with %v for all attempts", took, patience)
	}
	if tried := r.took(); len(tried) != 2 {
		t.Errorf("attempts %v", tried)
	}
}

// Neither a slow upload nor a slow download is cut, however long it takes.
func TestATransferInMotionHasNoDeadline(t *testing.T) {
	const patience = 200 * time.Millisecond
	r := newRig(t, within(patience))
	slowly := func(w io.Writer) {
		for range 4 {
			<-time.After(patience / 2)
			say(w, "a piece ")
		}
	}
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		slowly(flusher{w})
	})
	for _, pairs := range [][]string{{"a"}, {"a", "b"}} {
		r.list(host, pairs...)
		pr, pw := io.Pipe()
		go func() {
			slowly(pw)
			_ = pw.Close()
		}()
		if got, body := r.upload(r.client(1), "PUT", host, "/", pr, -1); got != 200 || len(body) != 32 {
			t.Errorf("pairs %v: %d %q", pairs, got, body)
		}
	}
}

// A flusher sends each piece at once.
type flusher struct{ http.ResponseWriter }

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.ResponseWriter.Write(b)
	_ = http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

// A client does not wait for ever because its host has stopped taking the body.
func TestAHostThatStopsReadingTheBodyIsATimeout(t *testing.T) {
	r := newRig(t, within(200*time.Millisecond))
	over := make(chan struct{})
	host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
		if header(bufio.NewReader(c)) != nil {
			<-over
		}
	})
	t.Cleanup(func() { close(over) })
	r.list(host, "a")
	got, body := r.upload(r.client(1), "PUT", host, "/", io.LimitReader(zeros{}, 64<<20), 64<<20)
	if got != http.StatusGatewayTimeout || !strings.Contains(body, "did not answer in time") {
		t.Errorf("%d %q", got, body)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAHostThatDoesNotFinishItsHandshakeIsATimeout(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r.list("localhost:"+port, "a", "b")
	if got, body := r.get("localhost:"+port, "/"); got != http.StatusGatewayTimeout || !strings.Contains(body, "did not finish the TLS handshake in time") {
		t.Errorf("%d %q", got, body)
	}
}

// A client that begins a request and does not end its header, and one that begins
// none, are let go.
func TestASilentClientIsLetGo(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HeaderTimeout, c.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond })
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	for _, begun := range []string{"", "GET / HTTP/1.1\r\nHost: x", "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"} {
		conn, br := r.secure(host, "localhost")
		say(conn, begun)
		if rest, err := io.ReadAll(br); err != nil { // a deadline of the test's own would be an error
			t.Errorf("after %q: %q, %v", begun, rest, err)
		}
	}
}
