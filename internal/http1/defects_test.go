package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// In HTTP/1.0 an answer of unknown length ends with its connection, so a write that
// failed must not end it in order.
func TestAnAnswerWhoseWriteFailedDoesNotLookWhole(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		failed := make(chan error, 1)
		r := start(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					failed <- err
					return
				}
			}
		})
		c := r.dial(secure)
		c.send("GET / HTTP/1.0\r\n\r\n")
		if secure {
			_, _ = c.br.Peek(1) // the handshake needs a reader
		}
		if err := within(t, "the write's end", failed); err == nil {
			t.Error("the write did not fail")
		}
		if _, err := c.rest(); err == nil {
			t.Error("a part of the answer looks like all of it")
		}
	})
}

func TestAnAbortedAnswerDoesNotLookWhole(t *testing.T) {
	for what, test := range map[string]struct {
		request string
		handler http.HandlerFunc
	}{
		"HEAD": {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }},
		"304":  {get, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }},
		"all of its Content-Length": {get, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "body")
		}},
		"no header":           {get, func(http.ResponseWriter, *http.Request) {}},
		"chunks":              {get, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a part") }},
		"flushed chunks":      {get, func(w http.ResponseWriter, _ *http.Request) { flushed(w, "a part") }},
		"HTTP/1.0":            {"GET / HTTP/1.0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a part") }},
		"HTTP/1.0 flushed":    {"GET / HTTP/1.0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { flushed(w, "a part") }},
		"HTTP/1.0 nothing":    {"GET / HTTP/1.0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { flushed(w, "") }},
		"HTTP/1.0 keep-alive": {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { flushed(w, "a part") }},
		"a part of its Content-Length": {get, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			flushed(w, "a part")
		}},
	} {
		t.Run(what, func(t *testing.T) {
			both(t, func(t *testing.T, secure bool) {
				r := start(t, func(w http.ResponseWriter, req *http.Request) {
					test.handler(w, req)
					panic(http.ErrAbortHandler)
				})
				c := r.dial(secure)
				c.send(test.request)
				got, err := c.rest()
				if method, _, _ := strings.Cut(test.request, " "); err == nil && whole(got, method) {
					t.Errorf("%q looks whole", got)
				}
			})
		})
	}
}

func flushed(w http.ResponseWriter, part string) {
	_, _ = io.WriteString(w, part)
	_ = http.NewResponseController(w).Flush()
}

// whole reports whether bytes up to the orderly end of a connection are an answer.
func whole(got, method string) bool {
	c := &client{br: bufioReader(got)}
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil
}

func TestAnInterimAnswerHasNoContentLength(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "ok")
	})
	c := r.dial(false)
	if hints := c.ask(get); hints.StatusCode != 103 || hints.Header["Content-Length"] != nil {
		t.Errorf("%d %v", hints.StatusCode, hints.Header)
	}
	if final := c.read(); final.StatusCode != 200 || final.body != "ok" {
		t.Errorf("%d %q", final.StatusCode, final.body)
	}
}

func TestNothingIsWrittenToAConnectionThatWasTakenOver(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		if _, err := io.WriteString(w, "late"); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("a write: %v", err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("to take it over again: %v", err)
		}
	})
	c := r.dial(false)
	c.send(get)
	c.closed()
}

func TestABodyIsNotReadOnceItsHandlerHasReturned(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		bodies := make(chan io.Reader, 1)
		begun := make(chan struct{})
		ends := make(chan error, 1)
		r := start(t, func(_ http.ResponseWriter, req *http.Request) {
			bodies <- req.Body
			if req.Header.Get("Wait") == "" {
				return
			}
			go func() {
				_, _ = io.ReadFull(req.Body, make([]byte, 1))
				close(begun)
				_, err := io.Copy(io.Discard, req.Body) // waits for the client
				ends <- err
			}()
			<-begun
		})
		c := r.dial(secure)
		if got := c.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nthe beginning"); got.StatusCode != 200 {
			t.Fatal(got.Status)
		}
		// Its buffer may be another connection's by now.
		if n, err := within(t, "the body", bodies).Read(make([]byte, 10)); n > 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("%d bytes were read after the handler had returned, %v", n, err)
		}
		c = r.dial(secure)
		if got := c.ask("POST / HTTP/1.1\r\nHost: x\r\nWait: 1\r\nContent-Length: 1000000\r\n\r\nthe beginning"); got.StatusCode != 200 {
			t.Fatal(got.Status)
		}
		if err := within(t, "the end of a read under way", ends); err == nil {
			t.Error("it came to the body's end")
		}
	})
}

func TestAWriteDeadlineIsOneRequestsAlone(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/first" {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
			flushed(w, "answered")
			_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		}
	})
	c := r.dial(false)
	c.send("HEAD /first HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := c.read(http.MethodHead); got.StatusCode != 200 {
		t.Fatal(got.Status)
	}
	if got := c.ask(get); got.StatusCode != 200 {
		t.Errorf("the next request: %s", got.Status)
	}
}

func TestAStatusThatIsNoneAborts(t *testing.T) {
	for _, status := range []int{-1, 0, 42, 99, 1000} {
		caught := make(chan any, 1)
		r := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) },
			func(s *Server) { s.Panicked = func(v any) { caught <- v } })
		c := r.dial(false)
		c.send(get)
		c.closed()
		within(t, "a panic", caught)
	}
}

// Whoever was not told to send its body does not know whether the next bytes would be
// taken for it, so the answer says that there will be no next.
func TestAnAnswerInsteadOf100SaysThatTheConnectionEnds(t *testing.T) {
	r := start(t, func(http.ResponseWriter, *http.Request) {})
	c := r.dial(false)
	got := c.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if got.StatusCode != 200 || !got.Close {
		t.Errorf("%s, Connection: close %v", got.Status, got.Close)
	}
	c.closed()
}

func TestAnAnswerBeforeALargeBodySaysThatTheConnectionEnds(t *testing.T) {
	r := start(t, func(http.ResponseWriter, *http.Request) {})
	c := r.dial(false)
	if got := c.ask(post(1<<20), "a part"); got.StatusCode != 200 || !got.Close {
		t.Errorf("%s, Connection: close %v", got.Status, got.Close)
	}
	c.closed()
}

func TestAnUnreadBodyOfJustTheMostThatIsDrainedIsDrained(t *testing.T) {
	r := start(t, func(http.ResponseWriter, *http.Request) {})
	c := r.dial(false)
	for range 2 {
		if got := c.ask(post(drainMax), strings.Repeat("x", drainMax)); got.StatusCode != 200 || got.Close {
			t.Errorf("%s, Connection: close %v", got.Status, got.Close)
		}
	}
	if got := c.ask(post(drainMax+1), strings.Repeat("x", drainMax+1)); got.StatusCode != 200 || !got.Close {
		t.Errorf("one byte more: %s, Connection: close %v", got.Status, got.Close)
	}
}

func TestATLSConnectionIsKnownWithItsFirstRequest(t *testing.T) {
	names := make(chan string, 1)
	r := start(t, func(_ http.ResponseWriter, req *http.Request) { names <- req.TLS.ServerName })
	r.dial(true).ask(get)
	if name := within(t, "a request", names); name != "localhost" {
		t.Errorf("the server name is %q", name)
	}
}

// A header that comes byte by byte must not cost its square: that is what a slow
// client could do with one connection.
func TestAHeaderIsNotSearchedAgainWithEachByte(t *testing.T) {
	serve := func(size int) time.Duration {
		server, peer := net.Pipe()
		s := newServer(func(http.ResponseWriter, *http.Request) {})
		s.MaxHeader = 1 << 20
		s.HeaderTimeout = time.Minute
		defer s.Close()
		began := time.Now()
		s.Go(context.Background(), &drip{Conn: server, left: []byte("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", size) + "\r\n\r\n")})
		_, _ = io.ReadFull(peer, make([]byte, len("HTTP/1.1 200")))
		took := time.Since(began)
		_ = peer.Close()
		return took
	}
	small, large := serve(60<<10), serve(600<<10)
	if large > 30*small+time.Second {
		t.Errorf("600 KiB took %v, 60 KiB took %v", large, small)
	}
}

// A drip gives one byte with each read.
type drip struct {
	net.Conn
	left []byte
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.left) == 0 {
		return d.Conn.Read(p)
	}
	n := copy(p[:1], d.left)
	d.left = d.left[n:]
	return n, nil
}

// What was accepted just before a shutdown and becomes a request meanwhile has all the
// time for its body.
func TestAShutdownDoesNotHurryARequestThatHasJustBegun(t *testing.T) {
	server, peer := net.Pipe()
	reading, read := make(chan struct{}), make(chan error, 1)
	s := newServer(func(_ http.ResponseWriter, req *http.Request) {
		close(reading)
		_, err := io.Copy(io.Discard, req.Body)
		read <- err
	})
	defer s.Close()
	hook := &slowDeadline{Conn: server, waits: make(chan struct{}), graced: make(chan struct{}), onward: make(chan struct{})}
	s.Go(context.Background(), hook)
	within(t, "the wait for a request", hook.waits)
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(context.Background()) }()
	within(t, "the shutdown's deadline", hook.graced)
	_, _ = io.WriteString(peer, post(2))
	select { // the request begins while the deadline is on its way, or waits for it
	case <-reading:
	case <-time.After(50 * time.Millisecond):
	}
	close(hook.onward)
	within(t, "the request", reading)
	<-time.After(freshGrace + 100*time.Millisecond) // what must not happen takes as long
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	_, _ = io.WriteString(peer, "ok")
	if err := within(t, "the body", read); err != nil {
		t.Errorf("its body: %v", err)
	}
	if err := within(t, "the shutdown", shut); err != nil {
		t.Error(err)
	}
	_ = peer.Close()
}

// A slowDeadline lets a short read deadline wait for the test.
type slowDeadline struct {
	net.Conn
	waits, graced, onward chan struct{}
	once, begun           sync.Once
}

func (c *slowDeadline) Read(p []byte) (int, error) {
	c.begun.Do(func() { close(c.waits) })
	return c.Conn.Read(p)
}

func (c *slowDeadline) SetReadDeadline(d time.Time) error {
	if !d.IsZero() && time.Until(d) <= freshGrace {
		c.once.Do(func() {
			close(c.graced)
			<-c.onward
		})
	}
	return c.Conn.SetReadDeadline(d)
}

// A client that reads nothing must not hold up the server's end: taking leave of it in
// TLS may wait.
func TestAShutdownDoesNotWaitForAnIdleClientThatReadsNothing(t *testing.T) {
	closing, leave := make(chan struct{}), make(chan struct{})
	server, peer := net.Pipe()
	s := newServer(func(http.ResponseWriter, *http.Request) {})
	s.Go(context.Background(), &slowClose{Conn: server, closing: closing, leave: leave})
	_, _ = io.WriteString(peer, get)
	_, _ = io.ReadFull(peer, make([]byte, len("HTTP/1.1 200 OK\r\n")))
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(ctx) }()
	within(t, "the close", closing)
	if err := within(t, "the shutdown", shut); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	close(leave)
	s.Close()
	_ = peer.Close()
}

type slowClose struct {
	net.Conn
	closing, leave chan struct{}
	once           sync.Once
}

func (c *slowClose) Close() error {
	c.once.Do(func() {
		close(c.closing)
		<-c.leave
	})
	return c.Conn.Close()
}

func TestAServerThatCannotAcceptEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	tries := 0
	s := newServer(nil)
	s.Retried = func(error) {
		if tries++; tries == 2 {
			cancel()
		}
		if tries > 10 {
			s.Close()
		}
	}
	if err := s.Serve(ctx, &failing{}); !errors.Is(err, context.Canceled) || tries != 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// Nobody else's reading of trailers may differ: a line end that only some accept could
// hide a request in them.
func TestATrailerThatCanBeReadInTwoWaysEndsTheConnection(t *testing.T) {
	for _, trailer := range []string{
		"X: a\nY: b\r\n\r\n",
		"X: a\n\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"X: a\r\n b\r\n\r\n",
		"X : a\r\n\r\n",
		": a\r\n\r\n",
		"X\r\n\r\n",
		"X: a\x00b\r\n\r\n",
		"X: a\rb\r\n\r\n",
		"Content-Length: 5\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n",
		"host: other.example\r\n\r\n",
		"Trailer: Host\r\n\r\n",
		"X: " + strings.Repeat("a", 100<<10) + "\r\n\r\n",
	} {
		var paths bytes.Buffer
		r := start(t, func(w http.ResponseWriter, req *http.Request) {
			paths.WriteString(req.URL.Path)
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				t.Errorf("%.40q: the body ended well, with the trailers %v", trailer, req.Trailer)
			}
			w.WriteHeader(http.StatusBadRequest)
		})
		c := r.dial(false)
		if got := c.ask("POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", trailer, get); got.StatusCode != 400 {
			t.Errorf("%.40q: %s", trailer, got.Status)
		}
		c.closed()
		if paths.String() != "/1" {
			t.Errorf("%.40q: served %s", trailer, paths.String())
		}
	}
}

func TestAHeaderThatBreaksOffIsAnswered(t *testing.T) {
	r := start(t, func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
	nc, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(nc, "CONNECT host:443 HT")
	_ = nc.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(nc)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("%q, %v; want 400", answer, err)
	}
}
