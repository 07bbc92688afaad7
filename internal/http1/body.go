package http1

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// A body is a request's body. It is read by one goroutine at a time, which need not be
// the handler's.
type body struct {
	res    *response
	parsed *http.Request // as it was parsed: its trailers appear here
	got    atomic.Int64  // how many bytes were read
	ended  atomic.Bool   // it was read to its end
	closed atomic.Bool
}

// Read implements io.Reader. The first one tells a client that waits to go on.
func (b *body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if err := b.res.sendContinue(); err != nil {
		return 0, err
	}
	n, err := b.parsed.Body.Read(p)
	b.got.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF) && !b.ended.Load():
		b.res.req.Trailer = b.parsed.Trailer
		b.ended.Store(true)
		b.res.c.watch.arm()
	case err != nil && b.res.c.src.ended:
		b.res.c.cancel()
	}
	return n, err
}

// Close implements io.Closer. It reads nothing.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// drain reads what the handler has left, if that is short and at hand, so that the
// connection can take another request. It reports whether it is at the body's end.
func (b *body) drain() bool {
	if b.ended.Load() {
		return true
	}
	if b.res.continueDue() || b.parsed.ContentLength-b.got.Load() > drainMax {
		return false // the client waits for leave to send it, or there is too much of it
	}
	_ = b.res.c.nc.SetReadDeadline(time.Now().Add(drainFor))
	_, err := io.CopyN(io.Discard, b.parsed.Body, drainMax)
	return errors.Is(err, io.EOF)
}
