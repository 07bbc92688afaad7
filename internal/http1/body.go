package http1

import (
	"errors"
	"io"
	"net/http"
	"sync"
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
	broken atomic.Bool   // its end will never be found
	closed atomic.Bool

	reading sync.Mutex
}

// Read implements io.Reader. The first one tells a client that waits to go on.
func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
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
	case err != nil && !b.ended.Load():
		b.broken.Store(true)
		if b.res.c.src.ended {
			b.res.c.cancel()
		}
	}
	return n, err
}

// Close implements io.Closer. It reads nothing.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// end waits until nobody reads, and nobody will: the handler has returned, and the
// buffer will be another request's, or another connection's.
func (b *body) end() {
	b.closed.Store(true)
	if b.reading.TryLock() {
		b.reading.Unlock()
		return
	}
	_ = b.res.c.nc.SetReadDeadline(time.Unix(1, 0))
	b.reading.Lock()
	b.reading.Unlock() //nolint:staticcheck // it was only waited for
}

// hopeless reports whether no other request will be found behind it: it is broken, or
// nothing of it was read, and it is more than is drained.
func (b *body) hopeless() bool {
	return b.broken.Load() || b.got.Load() == 0 && b.parsed.ContentLength > drainMax
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
	_, err := io.CopyN(io.Discard, b.parsed.Body, drainMax+1)
	return errors.Is(err, io.EOF)
}
