package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// An answerBody is the body of an answer. It owns the connection until its end.
type answerBody struct {
	s    *sending
	resp *http.Response
	src  io.ReadCloser
	stop func() bool // ends the connection's death by the request's context
	done bool
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if n > 0 {
		b.s.stall.move()
	}
	if err == nil {
		return n, nil
	}
	b.finish(errors.Is(err, io.EOF))
	if ctx := b.s.req.Context(); ctx.Err() != nil && !errors.Is(err, io.EOF) {
		err = context.Cause(ctx)
	}
	return n, err
}

// atHand reports whether some of the body is here already, or all there is.
func (b *answerBody) atHand() bool {
	return b != nil && (b.done || b.s.conn.in.Buffered() > 0 || b.s.conn.wire.atHand())
}

// readWide says whether much is to come.
func (b *answerBody) readWide(wide bool) {
	if b != nil && !b.done { // the connection may be another request's by now
		b.s.conn.wire.readWide(wide)
	}
}

// Close ends the connection if the body was not read to its end: reading the rest
// could take for ever.
func (b *answerBody) Close() error {
	b.finish(b.src == http.NoBody)
	return nil
}

// How much of an unwanted answer is read, and for how long, so that its connection
// can be used again. Anything longer costs more than a new connection.
const (
	maxDrain    = 16 << 10
	drainWithin = 100 * time.Millisecond
)

// drain reads the rest of a body if that is short and at hand.
func (b *answerBody) drain() {
	if b.done || b.resp.ContentLength < 0 || b.resp.ContentLength > maxDrain {
		return
	}
	_ = b.s.conn.raw.SetReadDeadline(time.Now().Add(drainWithin))
	_, _ = io.Copy(io.Discard, b)
}

// releaseEmpty gives the connection of an answer without a body back at once, so that
// it is there for whoever has seen the answer.
func (b *answerBody) releaseEmpty() {
	if b.src == http.NoBody {
		b.finish(true)
	}
}

// finish gives the connection back, or up.
func (b *answerBody) finish(whole bool) {
	if b.done {
		return
	}
	b.done = true
	b.s.stall.leaves(b.s)
	b.s.conn.wire.readWide(false)
	alive := b.stop()
	sent := b.s.finished()
	if !sent {
		b.s.giveUpBody()
	}
	b.s.conn.release(whole && alive && sent && !b.resp.Close && !b.s.req.Close && b.resp.ProtoAtLeast(1, 1))
}

// An upgradedConn is the connection after a 101: bytes both ways, of whatever
// protocol was agreed on.
type upgradedConn struct{ *answerBody }

func (u *upgradedConn) Read(p []byte) (int, error)  { return u.s.conn.in.Read(p) }
func (u *upgradedConn) Write(p []byte) (int, error) { return u.s.conn.over.Write(p) }

// Close ends the connection, which never carries HTTP again.
func (u *upgradedConn) Close() error {
	u.finish(false)
	return nil
}

// CloseWrite tells the server that the client has said all it had to say.
func (u *upgradedConn) CloseWrite() error { return u.s.conn.over.CloseWrite() }

// A clientBodyError means that the client broke its request off.
type clientBodyError struct{ err error }

func (e *clientBodyError) Error() string { return "the client broke its request off: " + e.err.Error() }
func (e *clientBodyError) Unwrap() error { return e.err }

// errAttemptTimeout means that the host kept the request waiting for too long.
var errAttemptTimeout = errors.New("it did not answer in time")
