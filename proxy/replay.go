package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
)

// A replay is a request's body that can be sent with one pair after the other. What
// an attempt reads of the client is kept as long as another attempt may follow; once
// something could not be kept, the attempt under way can read the body to its end,
// and no other can.
//
// With a single pair nothing is kept, but for the beginning of a body that goes over a
// kept connection, whose host may close it in that very moment.
type replay struct {
	src      io.ReadCloser // nil for no body
	trailers func() http.Header

	mu      sync.Mutex
	pulled  sync.Cond // broadcast after each read of src, and when a reader is closed
	pulling bool      // one reader is reading src
	keep    bool      // another attempt may follow the current one
	briefly int64     // how many bytes are kept where none may
	kept    spool
	limit   int64 // how many bytes may be kept
	length  int64 // as the client announced it; -1 for unknown
	total   int64 // bytes read of src
	lost    error // why kept does not hold all of them; nil while it does
	err     error // src's end
	current *replayReader
}

// Why a body was not kept: no pair was to follow, or there is too much of it.
var (
	errNotKept     = errors.New("the body was not kept")
	errReplayLimit = errors.New("the body is larger than replay_limit")
)

// newReplay takes a request's body, which may be nil. Of a body that is announced
// to be larger than the limit not even a part is kept. trailers returns the fields
// behind the body, once it has ended; it may be nil.
func newReplay(req *http.Request, trailers func() http.Header, limit int64, dir string) *replay {
	r := &replay{src: req.Body, trailers: trailers, limit: limit, length: req.ContentLength, kept: spool{dir: dir, memory: spoolMemory}}
	if r.src == http.NoBody {
		r.src = nil
	}
	if req.ContentLength > limit {
		r.limit = 0
	}
	r.pulled.L = &r.mu
	return r
}

// exists reports whether there is a body at all.
func (r *replay) exists() bool { return r.src != nil }

// repeatable returns why the body cannot be sent from its beginning once more; nil
// means that it can.
func (r *replay) repeatable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// reader returns the body from its beginning, and ends the reader given out before.
// keep tells whether yet another may be needed. It returns nil for no body.
func (r *replay) reader(keep bool) *replayReader {
	if r.src == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.closed = true
		r.pulled.Broadcast()
	}
	r.keep, r.briefly = keep, 0
	r.current = &replayReader{r: r}
	return r.current
}

// keptBriefly is how much of a body is kept for a kept connection that may turn out to be
// dead. A host that closed it before the body came tells so within a round trip.
const keptBriefly = 256 << 10

// keepBriefly keeps the body for once more on a new connection, as long as it is small. It
// is called before the reader is read.
func (rd *replayReader) keepBriefly() {
	r := rd.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.length <= keptBriefly {
		r.briefly = min(keptBriefly, r.limit)
	}
}

// end gives up what is kept. A reader may still wait for the client, when the server
// answered before the body's end: interrupt must make that read return.
func (r *replay) end(interrupt func()) {
	if r.src == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.closed = true
		r.pulled.Broadcast()
	}
	if r.pulling {
		interrupt()
	}
	for r.pulling {
		r.pulled.Wait()
	}
	r.kept.close()
	if r.total > 0 && r.lost == nil {
		r.lost = errNotKept
	}
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
		case rd.off < r.total && r.lost != nil:
			return 0, r.lost // an older attempt has used it up
		case rd.off < r.total:
			n, err := r.kept.readAt(p, rd.off)
			rd.off += int64(n)
			return n, err
		case r.err != nil:
			return 0, r.err
		case r.pulling:
			r.pulled.Wait()
			continue
		}
		return rd.pull(p)
	}
}

// pull reads of the client. The caller holds the lock, which is given back meanwhile.
func (rd *replayReader) pull(p []byte) (int, error) {
	r := rd.r
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

// took notes what was read of the client. What an ended reader has read is kept in
// any case: the one after it needs it.
func (r *replay) took(rd *replayReader, b []byte, err error) {
	r.total += int64(len(b))
	r.err = err
	if r.lost != nil || len(b) == 0 {
		return
	}
	switch {
	case rd.closed:
		r.lost = r.kept.append(b)
	case !r.keep && r.kept.size+int64(len(b)) > r.briefly:
		r.lost = errNotKept
	case r.kept.size+int64(len(b)) > r.limit:
		r.lost = errReplayLimit
	default:
		r.lost = r.kept.append(b)
	}
	if r.lost != nil {
		r.kept.close()
	}
}

// read is how many bytes of the body came from the client.
func (r *replay) read() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// waitsForClient reports whether more of the body is being waited for.
func (r *replay) waitsForClient() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulling
}

// brokenOff returns the error with which the client ended the body, if it did not
// end well.
func (r *replay) brokenOff() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// copyTrailers adds the fields behind the body, which has ended, to h: those for the
// host.
func (rd *replayReader) copyTrailers(h http.Header) {
	if rd.r.trailers != nil {
		maps.Copy(h, rd.r.trailers())
		keepEndToEnd(h) // announced ones, too
	}
}

// progress reports whether this attempt has read any of the body, and all of it.
func (rd *replayReader) progress() (some, all bool) {
	rd.r.mu.Lock()
	defer rd.r.mu.Unlock()
	return rd.off > 0, rd.off == rd.r.total && errors.Is(rd.r.err, io.EOF)
}

// Close ends this reader.
func (rd *replayReader) Close() error {
	rd.r.mu.Lock()
	defer rd.r.mu.Unlock()
	rd.closed = true
	rd.r.pulled.Broadcast()
	return nil
}
