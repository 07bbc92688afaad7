package http1

import (
	"io"
	"net/http"
	"strings"
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
		_ = within(t, "the write's end", failed)
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
