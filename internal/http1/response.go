package http1

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// A response is the [http.ResponseWriter] of one request. Interim answers may come from
// any goroutine, all else is the handler's.
type response struct {
	c    *conn
	req  *http.Request
	body *body // nil for none

	header http.Header
	status int // 0 until the final header is written

	bodyless bool  // the answer has no body, whatever its header says
	chunked  bool  // it goes in chunks
	left     int64 // how many bytes of it are announced and not written; -1 for an unknown number
	last     bool  // the connection ends with it

	hurried atomic.Bool // a deadline of writing was set

	mu        sync.Mutex // of all that is written before the final header
	continues bool       // the client waits for 100 (Continue)
}

// handle serves a request. It reports whether the connection can take another.
func (c *conn) handle(ctx context.Context, parsed *http.Request) bool {
	w := &response{c: c, header: make(http.Header, 16), left: -1}
	w.req = parsed.WithContext(ctx)
	if parsed.Body != http.NoBody {
		_ = c.nc.SetReadDeadline(time.Time{})
		w.body = &body{res: w, parsed: parsed}
		w.req.Body = w.body
		w.continues = parsed.ProtoAtLeast(1, 1) && parsed.Header["Expect"] != nil
	} else {
		c.watch.arm()
	}
	w.last = parsed.Close
	whole := w.run()
	if c.phase.Load() == taken {
		return false
	}
	if w.body != nil {
		w.body.end()
	}
	if !whole {
		c.watch.stop()
		if c.bw != nil && w.left != 0 && !w.bodyless { // what is sent cannot look whole
			_ = c.bw.Flush()
		}
		c.abort()
		return false
	}
	return w.finish()
}

// run calls the handler. It reports false when that panicked.
func (w *response) run() (whole bool) {
	defer func() {
		if whole {
			return
		}
		//nolint:errorlint // net/http compares it so, too
		if v := recover(); v != http.ErrAbortHandler && w.c.server.Panicked != nil {
			w.c.server.Panicked(v)
		}
	}()
	w.c.server.Handler.ServeHTTP(w, w.req)
	return true
}

// finish ends the answer and reports whether the connection can take another request.
func (w *response) finish() bool {
	c := w.c
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.chunked {
		w.endChunks()
	}
	if !w.hurried.Load() && c.bw.Buffered() > 0 {
		_ = w.SetWriteDeadline(time.Now().Add(c.server.HeaderTimeout)) // the handler left it to us
	}
	err := c.bw.Flush()
	c.watch.stop()
	if w.hurried.Load() {
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	switch {
	case err != nil || w.left > 0 && !w.bodyless:
		c.abort() // less than was written, or than was announced
		return false
	case w.body != nil && !w.body.drain():
		c.linger()
		return false
	}
	return !w.last
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Interim answers go out at once, the
// final one with what follows.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("http1: %d is no status", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.status != 0 || w.c.phase.Load() == taken:
	case status >= 100 && status < 200:
		if w.req.ProtoAtLeast(1, 1) {
			w.continues = w.continues && status != http.StatusContinue
			w.writeHeader(status)
			_ = w.c.bw.Flush() // a client that has gone shows with the final answer
		}
	default:
		w.status = status
		w.frame()
		w.writeHeader(status)
	}
}

// frame decides how the answer's end is marked (RFC 9112 section 6).
func (w *response) frame() {
	h := w.header
	delete(h, "Transfer-Encoding")
	if length := h["Content-Length"]; len(length) > 0 {
		if n, err := strconv.ParseUint(length[0], 10, 63); err == nil && len(length) == 1 {
			w.left = int64(n) // 63 bits
		} else {
			delete(h, "Content-Length")
		}
	}
	w.bodyless = w.req.Method == http.MethodHead || w.status == http.StatusNoContent || w.status == http.StatusNotModified
	if w.status == http.StatusNoContent {
		delete(h, "Content-Length")
	}
	ends := w.bodyless || w.left >= 0 // by itself
	if !ends && w.req.ProtoAtLeast(1, 1) {
		h["Transfer-Encoding"] = []string{"chunked"}
		w.chunked, ends = true, true
	}
	if !w.chunked {
		delete(h, "Trailer") // there is no place for them
	}
	if w.continues || w.body != nil && w.body.hopeless() {
		w.last = true // the rest of the request may never come, or nobody knows its end
	}
	w.last = w.last || !ends || httpguts.HeaderValuesContainsToken(h["Connection"], "close") || w.c.server.closing.Load()
	switch {
	case w.last && w.req.ProtoAtLeast(1, 1):
		h["Connection"] = []string{"close"}
	case w.last:
		delete(h, "Connection")
	case !w.req.ProtoAtLeast(1, 1):
		h["Connection"] = []string{"keep-alive"} // it has asked for it
	}
	if _, ok := h["Date"]; !ok { // RFC 9110 section 6.6.1
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
}

// writeHeader writes a status line and the header. The caller holds mu.
func (w *response) writeHeader(status int) {
	version := "HTTP/1.1 "
	if !w.req.ProtoAtLeast(1, 1) {
		version = "HTTP/1.0 "
	}
	bw, text := w.c.out(), http.StatusText(status)
	_, _ = bw.WriteString(version) // an error of the buffer comes again with the next write
	_, _ = bw.Write(strconv.AppendInt(bw.AvailableBuffer(), int64(status), 10))
	_ = bw.WriteByte(' ')
	_, _ = bw.WriteString(text)
	_, _ = bw.WriteString("\r\n")
	_ = w.header.WriteSubset(bw, w.without(status))
	_, _ = bw.WriteString("\r\n")
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	if w.c.phase.Load() == taken {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(b) == 0:
		return 0, nil
	case w.bodyless:
		return 0, http.ErrBodyNotAllowed
	case w.left >= 0 && int64(len(b)) > w.left:
		return 0, http.ErrContentLength
	}
	n, err := w.write(b)
	if w.left >= 0 {
		w.left -= int64(n)
	}
	return n, err
}

func (w *response) write(b []byte) (int, error) {
	bw := w.c.bw
	if !w.chunked {
		return bw.Write(b)
	}
	_, _ = bw.Write(strconv.AppendInt(bw.AvailableBuffer(), int64(len(b)), 16))
	_, _ = bw.WriteString("\r\n")
	n, err := bw.Write(b)
	if err == nil {
		_, err = bw.WriteString("\r\n")
	}
	return n, err
}

// FlushError sends what was written ([http.ResponseController]).
func (w *response) FlushError() error {
	if w.c.phase.Load() == taken {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.c.bw.Flush()
}

// EnableFullDuplex is how it always is: the request's body can be read while the
// answer is written ([http.ResponseController]).
func (w *response) EnableFullDuplex() error { return nil }

// SetReadDeadline bounds the reading of the request's body ([http.ResponseController]).
func (w *response) SetReadDeadline(t time.Time) error { return w.c.nc.SetReadDeadline(t) }

// SetWriteDeadline bounds the writing of the answer ([http.ResponseController]).
func (w *response) SetWriteDeadline(t time.Time) error {
	w.hurried.Store(true)
	return w.c.nc.SetWriteDeadline(t)
}

// sendContinue tells a client that waits for it to send its body.
func (w *response) sendContinue() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.continues || w.status != 0 {
		return nil
	}
	w.continues = false
	bw := w.c.out()
	_, _ = bw.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
	return bw.Flush()
}

// continueDue reports whether the client still waits for leave to send its body.
func (w *response) continueDue() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.continues
}
