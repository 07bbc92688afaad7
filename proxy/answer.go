package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
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
	if err == nil {
		return n, nil
	}
	b.finish(err == io.EOF)
	if ctx := b.s.req.Context(); err != io.EOF && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

// Close ends the connection if the body was not read to its end: reading the rest
// could take for ever.
func (b *answerBody) Close() error {
	b.finish(b.src == http.NoBody)
	return nil
}

// finish gives the connection back, or up.
func (b *answerBody) finish(whole bool) {
	if b.done {
		return
	}
	b.done = true
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
func (u *upgradedConn) Write(p []byte) (int, error) { return u.s.conn.tls.Write(p) }

// CloseWrite tells the server that the client has said all it had to say.
func (u *upgradedConn) CloseWrite() error { return u.s.conn.tls.CloseWrite() }

// A clientBodyError means that the client broke its request off.
type clientBodyError struct{ err error }

func (e *clientBodyError) Error() string { return "the client broke its request off: " + e.err.Error() }
func (e *clientBodyError) Unwrap() error { return e.err }

// errAttemptTimeout means that the host kept the request waiting for too long.
var errAttemptTimeout = errors.New("it did not answer in time")
