package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
