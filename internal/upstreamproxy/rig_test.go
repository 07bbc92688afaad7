package upstreamproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen at once.
const patience = 20 * time.Second

// serve gives each connection to a function, which is to read, answer and return; the
// test's end closes what is open and waits for all of them.
func serve(t *testing.T, each func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				each(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// A script is a proxy that reads a CONNECT, answers with the text, and echoes what
// comes through the tunnel then.
type script struct {
	answer string
	mu     sync.Mutex
	asked  []string      // what it was sent
	ended  chan struct{} // has one for each connection that its client has closed
}

func (s *script) proxy(c net.Conn) {
	defer func() { s.ended <- struct{}{} }()
	br := bufio.NewReader(c)
	var asked strings.Builder
	for !strings.HasSuffix(asked.String(), "\r\n\r\n") {
		line, err := br.ReadString('\n')
		if err != nil {
			return
		}
		asked.WriteString(line)
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked.String())
	s.mu.Unlock()
	if _, err := io.WriteString(c, s.answer); err == nil {
		_, _ = io.Copy(c, br)
	}
}

func newScript(answer string) *script {
	return &script{answer: answer, ended: make(chan struct{}, 100)}
}

// answering starts a proxy that gives every CONNECT this answer.
func answering(t *testing.T, answer string) (s *script, addr string) {
	s = newScript(answer)
	return s, serve(t, s.proxy)
}

// request is what the proxy was asked first.
func (s *script) request(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != 1 {
		t.Fatalf("the proxy was asked %q; want one CONNECT", s.asked)
	}
	return s.asked[0]
}

// closed waits until the proxy has seen the end of a connection.
func (s *script) closed(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Error("the connection to the proxy is still open")
	}
}

// through returns a dialer with this proxy in its configuration.
func through(t *testing.T, url string) *Dialer {
	t.Helper()
	return newDialer(t, Config{URL: url})
}

func newDialer(t *testing.T, config Config) *Dialer {
	t.Helper()
	if config.Dial == nil {
		config.Dial = new(net.Dialer).DialContext
	}
	d, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// env is an environment of these variables alone: "NAME=value".
func env(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// soon is a context in which everything that works is done.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// echoes fails the test unless the connection returns what is sent into it, after what
// the other end sends first, and has no deadline left.
func echoes(t *testing.T, c net.Conn, first string) {
	t.Helper()
	const message = "to the host and back"
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(first)+len(message))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read %q: %v", got[:n], err)
	}
	if string(got) != first+message {
		t.Errorf("read %q; want %q", got, first+message)
	}
}

// basic is the Proxy-Authorization of an http.Request's header.
func basic(h http.Header) string {
	user, password, ok := (&http.Request{Header: http.Header{"Authorization": h["Proxy-Authorization"]}}).BasicAuth()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%s", user, password)
}

// redirect dials one address for every other.
func redirect(to string) DialFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}
