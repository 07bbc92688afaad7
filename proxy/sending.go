package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// How long a server may take to ask for a body before it is sent unasked, for it
	// may not know Expect (RFC 9110 section 10.1.1): where we want to know, and where
	// the client does, whom nobody should overtake.
	ourHesitation     = time.Second
	clientsHesitation = 5 * time.Second
	// lateAlert is how long an alert may take after a write has failed.
	lateAlert = 2 * time.Second
	// lastBytes is how long the end of a body may take to be written when the answer is
	// complete, before its connection is given up.
	lastBytes = 50 * time.Millisecond
	// maxInformational bounds the interim answers to one request.
	maxInformational = 64
)

var (
	errInformational = fmt.Errorf("it sent more than %d interim answers", maxInformational)
	errUnasked101    = errors.New("it switched protocols without being asked to")
	errNotWanted     = errors.New("the server answered before the body")
)

// A sending is one request on its way over one connection.
type sending struct {
	conn *upstreamConn
	req  *http.Request
	body *replayReader // nil for none

	// expect asks the server whether it wants the body before any of it is read of
	// the client: the decision comes through wanted.
	expect     bool
	ours       bool          // it was not the client's wish
	hesitation time.Duration // how long that may take
	unheard    bool          // it took longer
	wanted     chan bool     // nil for no body

	interim func(status int, fields http.Header) // told of answers before the final one

	stall   *stall      // looks whether the bodies move; nil does not
	stalled atomic.Bool // it has given the request up

	// patience is how long the server may keep the request waiting; zero for ever.
	patience time.Duration
	moved    atomic.Int64 // when the body last moved, as nanoseconds after began
	began    time.Time

	mu       sync.Mutex
	answered bool          // the header is here: no deadline applies any more
	written  chan struct{} // closed when the request is written, or cannot be; nil for no body, where that is so before anything is read
	writeErr error         // valid after that
	stopped  error         // why the body ended early; the writer's, for net/http wraps it beyond recognition

	client    *wire       // the body comes over it; may be nil
	wide      bool        // the body is large; the writer's
	sent      int64       // bytes of it read so far; the writer's
	delivered atomic.Bool // some of the body has gone out
	ending    atomic.Bool // all of it was read: what is left to write is at hand
	complete  atomic.Bool // all of it has gone out
}

// newSending prepares a request, which roundTrip sends.
func newSending(conn *upstreamConn, req *http.Request, body *replayReader, patience time.Duration) *sending {
	s := &sending{conn: conn, req: req, body: body, patience: patience, began: time.Now()}
	if body != nil {
		s.wanted, s.written = make(chan bool, 1), make(chan struct{})
	}
	return s
}

// roundTrip sends the request and returns the final answer's header. The body of the
// answer owns the connection. After an error the connection is closed.
//
// writers is told of the goroutine that writes a body: it may have to wait for the
// client when the answer is complete already.
func (s *sending) roundTrip(writers *sync.WaitGroup) (*http.Response, error) {
	ctx, c := s.req.Context(), s.conn
	stop := context.AfterFunc(ctx, c.kill)
	c.received = false
	if s.body == nil {
		s.write()
	} else {
		writers.Go(s.write)
	}
	resp, err := s.readAnswer()
	if err != nil {
		stop()
		c.kill()
		s.giveUpBody()
		s.stall.leaves(s)
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case s.stalled.Load():
			err = errStalled
		}
		return nil, err
	}
	answer := &answerBody{s: s, resp: resp, src: resp.Body, stop: stop}
	resp.Body = answer
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgradedConn{answer}
	}
	return resp, nil
}

// giveUp ends the request, whoever waits for what of it.
func (s *sending) giveUp() {
	s.stalled.Store(true)
	s.conn.kill()
}

// write writes the request, with its body if there is one.
func (s *sending) write() {
	if s.written != nil {
		defer close(s.written)
	}
	out := *s.req
	out.Body = nil
	if s.conn.forwarding != nil {
		absoluteForm(&out, s.conn.forwarding)
	}
	if s.body != nil {
		// Each sending has trailers of its own: an attempt that was given up may still
		// be told of them when the next one reads its own.
		out.Trailer = maps.Clone(s.req.Trailer)
		if out.Trailer == nil {
			out.Trailer = http.Header{}
		}
		out.Body = outgoing{s, out.Trailer}
		if out.ContentLength < 0 {
			// Said here, net/http does not read ahead to see whether there is one.
			out.TransferEncoding = []string{"chunked"}
		}
	} else if s.patience > 0 {
		_ = s.conn.raw.SetDeadline(time.Now().Add(s.patience))
	}
	err := out.Write(s.conn.out)
	if s.stopped != nil {
		err = s.stopped
	} else if flushed := s.conn.out.buf.Flush(); flushed != nil {
		err = flushed // the first error of any write, which net/http wraps too
	}
	if narrowed := s.widen(false); err == nil {
		err = narrowed
	}
	s.stall.sent()
	s.writeErr = err
	if err == nil && s.body != nil {
		s.complete.Store(true)
	}
	switch {
	case err == nil && s.body != nil && s.patience > 0:
		s.readWithin(s.patience)
	case err != nil && s.body != nil && s.body.r.brokenOff() != nil:
		s.conn.kill() // the reason is the client's own: there is nothing to wait for
	case err != nil && !errors.Is(err, errNotWanted):
		// The reason may still come in, as an alert or an answer.
		s.readWithin(lateAlert)
	}
}

// readWithin bounds the wait for the answer's header.
func (s *sending) readWithin(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answered {
		_ = s.conn.raw.SetReadDeadline(time.Now().Add(d))
	}
}

// waited is how long the server has kept the request waiting: since the request was
// begun, or since its body last moved.
func (s *sending) waited() time.Duration {
	return time.Since(s.began) - time.Duration(s.moved.Load())
}

// readAnswer reads until the final answer's header, deciding on the way whether the
// body is wanted.
func (s *sending) readAnswer() (*http.Response, error) {
	c := s.conn
	undecided := s.body != nil
	decide := func(wanted bool) {
		if undecided {
			undecided = false
			_ = c.raw.SetReadDeadline(time.Time{}) // before the writer sets one
			s.wanted <- wanted
		}
	}
	defer decide(false)
	if !s.expect { // The writer asks nobody, and may have failed and set its deadline already.
		undecided = false
	}
	for informational := 0; ; informational++ {
		if undecided {
			_ = c.raw.SetReadDeadline(time.Now().Add(s.hesitation))
			if _, err := c.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
				s.unheard = true
				decide(true)
			}
		}
		c.headerLeft = maxAnswerHeader
		resp, err := http.ReadResponse(c.in, s.req)
		c.headerLeft = math.MaxInt64
		switch {
		case err != nil:
			return nil, s.readError(err)
		case resp.StatusCode == http.StatusContinue:
			s.unheard = false
			decide(true)
		case resp.StatusCode == http.StatusSwitchingProtocols && s.req.Header.Get("Upgrade") == "":
			return nil, errUnasked101
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			if s.ours && resp.StatusCode < 300 {
				decide(true) // it did not wait for the body, and did not refuse it: it may read on while it answers
			}
			s.mu.Lock()
			s.answered = true
			_ = c.raw.SetDeadline(time.Time{})
			s.mu.Unlock()
			return resp, nil
		case s.interim != nil:
			s.interim(resp.StatusCode, resp.Header)
		}
		if informational >= maxInformational {
			return nil, errInformational
		}
	}
}

// readError says why no answer came. When the client broke its body off, that is the
// reason for all that followed; and a wait that ended by its own deadline says so.
func (s *sending) readError(err error) error {
	if s.body != nil {
		if broken := s.body.r.brokenOff(); broken != nil {
			return &clientBodyError{broken}
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if s.isWritten() && s.writeErr != nil && !errors.Is(s.writeErr, os.ErrDeadlineExceeded) {
			return s.writeErr // the wait was for its reason, and none came
		}
		return errAttemptTimeout
	}
	return err
}

// isWritten reports whether the request is written, or cannot be: writeErr is valid.
func (s *sending) isWritten() bool {
	if s.written == nil {
		return true
	}
	select {
	case <-s.written:
		return true
	default:
		return false
	}
}

// giveUpBody ends the writing of a body that is not wanted any more.
func (s *sending) giveUpBody() {
	if s.body == nil {
		return
	}
	_ = s.body.Close()
	_ = s.conn.raw.SetWriteDeadline(time.Unix(1, 0))
}

// finished reports whether the request was written to its end. An answer can be
// here while its last bytes are still being written.
func (s *sending) finished() bool {
	if s.isWritten() {
		return s.writeErr == nil
	}
	if !s.ending.Load() {
		return false
	}
	select {
	case <-s.written:
		return s.writeErr == nil
	case <-time.After(lastBytes):
		return false
	}
}
