package proxy

import (
	"io"
	"net/http"
	"sync"
)

// replayMemory is how much of a body is kept so that it can be sent again.
const replayMemory = 1 << 20

// A replay is a request's body that can be sent with one pair after the other. What
// an attempt has read of the client is kept, up to a bound; past it the body can be
// read to its end once more by the attempt that is under way, and never again.
//
// With a single pair nothing is kept.
type replay struct {
	src  io.ReadCloser // nil for no body
	keep bool

	mu      sync.Mutex
	pulled  sync.Cond // broadcast after each read of src
	pulling bool      // one reader is reading src
	buf     []byte    // all that was read of src, unless lost
	total   int64     // bytes read of src
	lost    bool      // buf does not hold the whole any more
	err     error     // src's end
	current *replayReader
}

// newReplay wraps a request's body. keep tells whether it may have to be sent again.
func newReplay(src io.ReadCloser, keep bool) *replay {
	if src == http.NoBody {
		src = nil
	}
	r := &replay{src: src, keep: keep}
	r.pulled.L = &r.mu
	return r
}

// repeatable reports whether the whole body can still be sent again.
func (r *replay) repeatable() bool {
	if r.src == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.lost
}

// delivered reports whether any of the body was sent.
func (r *replay) delivered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total > 0
}

// why says what keeps the request from being sent again.
func (r *replay) why(o outcome) string {
	if !r.repeatable() {
		return "the body is larger than what is kept of it"
	}
	return "the server may have acted on the body before it answered " + o.String()
}

// reader returns the body from its beginning. Readers given out before end.
func (r *replay) reader() io.ReadCloser {
	if r.src == nil {
		return http.NoBody
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.closed = true
		r.pulled.Broadcast()
	}
	r.current = &replayReader{r: r}
	return r.current
}

// finish says that no attempt follows. The last one may still be sending the body,
// when the server answered before its end; what it reads is not kept any more.
func (r *replay) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep = false
}

// A replayReader reads the body for one attempt.
type replayReader struct {
	r      *replay
	off    int64
	closed bool // guarded by r.mu
}

// Read implements io.Reader.
func (rd *replayReader) Read(p []byte) (int, error) {
	r := rd.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case rd.closed:
			return 0, http.ErrBodyReadAfterClose
		case rd.off < r.total && r.lost:
			return 0, http.ErrBodyReadAfterClose // an older attempt has used it up
		case rd.off < r.total:
			n := copy(p, r.buf[rd.off:])
			rd.off += int64(n)
			return n, nil
		case r.err != nil:
			return 0, r.err
		case r.pulling:
			r.pulled.Wait()
			continue
		}
		r.pulling = true
		r.mu.Unlock()
		n, err := r.src.Read(p)
		r.mu.Lock()
		r.pulling = false
		r.took(rd, p[:n], err)
		r.pulled.Broadcast()
		if rd.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		rd.off += int64(n)
		return n, err
	}
}

// took notes what was read of the client. What an ended reader read is kept in any
// case: the one after it needs it.
func (r *replay) took(rd *replayReader, b []byte, err error) {
	r.total += int64(len(b))
	r.err = err
	if r.lost {
		return
	}
	if !rd.closed && (!r.keep || len(r.buf)+len(b) > replayMemory) {
		r.lost, r.buf = true, nil
		return
	}
	r.buf = append(r.buf, b...)
}

// Close ends this reader.
func (rd *replayReader) Close() error {
	rd.r.mu.Lock()
	defer rd.r.mu.Unlock()
	rd.closed = true
	rd.r.pulled.Broadcast()
	return nil
}
