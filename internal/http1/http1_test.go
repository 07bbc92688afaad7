package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test: what takes longer has failed.
const patience = 10 * time.Second

// A rig is a server on loopback: one port for plain text, one for TLS.
type rig struct {
	t             testing.TB
	server        *Server
	plain, secure string // addresses

	mu       sync.Mutex
	panicked []any
}

// newServer returns a server with limits that no test comes near by chance. Its
// refusals are the status alone.
func newServer(handler http.HandlerFunc) *Server {
	return &Server{Handler: handler, HeaderTimeout: patience, IdleTimeout: patience, MaxHeader: 64 << 10,
		Refuse: func(w io.Writer, why *Malformed) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", why.Status, why.Reason)
		}}
}

func start(t testing.TB, handler http.HandlerFunc, change ...func(*Server)) *rig {
	t.Helper()
	r := &rig{t: t, server: newServer(handler)}
	r.server.Panicked = func(v any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.panicked = append(r.panicked, v)
	}
	for _, f := range change {
		f(r.server)
	}
	var serving sync.WaitGroup
	listen := func(wrap func(net.Listener) net.Listener) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		serving.Go(func() {
			if err := r.server.Serve(context.Background(), wrap(l)); !errors.Is(err, ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
		return l.Addr().String()
	}
	certificate := throwaway.NewCA("ca").Issue(throwaway.Options{Name: "localhost", Hosts: []string{"localhost"}}).TLS()
	r.plain = listen(func(l net.Listener) net.Listener { return l })
	r.secure = listen(func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
	})
	t.Cleanup(func() {
		r.server.Close()
		serving.Wait()
		if len(r.panicked) > 0 {
			t.Errorf("a handler panicked: %v", r.panicked)
		}
	})
	return r
}

// dial opens a connection over plain TCP or TLS, with a deadline.
func (r *rig) dial(secure bool) *client {
	r.t.Helper()
	addr := r.plain
	if secure {
		addr = r.secure
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if secure {
		c = tls.Client(c, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	}
	return &client{t: r.t, Conn: c, br: bufio.NewReader(c)}
}

// both runs a test over plain TCP and over TLS.
func both(t *testing.T, test func(t *testing.T, secure bool)) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secure], func(t *testing.T) { test(t, secure) })
	}
}

// A client is the raw end of a connection.
type client struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

// send writes raw bytes. The server may close at any moment: the answer is what counts.
func (c *client) send(parts ...string) { _, _ = io.WriteString(c.Conn, strings.Join(parts, "")) }

// An answer is one as it was read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// read reads one answer to a request of the method; GET if there is none.
func (c *client) read(method ...string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: strings.Join(method, "")})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b), err}
}

// ask sends and reads one answer.
func (c *client) ask(parts ...string) answer {
	c.t.Helper()
	c.send(parts...)
	return c.read()
}

// rest reads until the connection ends, and reports how: nil for an end that an
// honest answer could have.
func (c *client) rest() (string, error) {
	b, err := io.ReadAll(c.br)
	return string(b), err
}

// closed checks that nothing more comes but the end.
func (c *client) closed() {
	c.t.Helper()
	b, err := c.rest()
	var timeout net.Error
	if b != "" || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("instead of the connection's end: %q, %v", b, err)
	}
}

const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// within waits for what another goroutine does.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come about", what)
		panic("unreachable")
	}
}

func post(length int) string {
	return "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
}

func bufioReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
