package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// A conn is one client's connection. All but the watch and the body of a request is
// its own goroutine's.
type conn struct {
	server *Server
	nc     net.Conn
	cancel context.CancelFunc // ends its requests: the client has gone
	tls    *tls.ConnectionState
	remote string

	phase atomic.Int32
	src   source
	br    *bufio.Reader // nil while idle
	bw    *bufio.Writer // nil until an answer begins; see out
	watch watch
}

// The phases of a connection. Whoever changes fresh or idle decides what becomes of it.
const (
	fresh  int32 = iota // no request has begun yet
	idle                // it waits for the next one
	busy                // a request has begun
	ending              // the server has ended it
	taken               // a handler has taken it over
)

// A source is the connection below its buffer. What was read ahead of the buffer comes
// first.
type source struct {
	c     net.Conn
	ahead []byte
	one   [1]byte // where a single byte is read to
	ended bool    // the connection has no more to read
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	n, err := s.c.Read(p)
	s.ended = s.ended || err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// readAhead waits for one byte without a buffer.
func (s *source) readAhead() error {
	n, err := s.c.Read(s.one[:])
	if n == 1 {
		s.ahead = s.one[:]
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// serve serves one request after the other.
func (c *conn) serve(ctx context.Context) {
	defer c.end()
	c.watch.init(c)
	c.remote = c.nc.RemoteAddr().String()
	if c.server.Begin != nil {
		var err error
		if ctx, err = c.server.Begin(ctx, c.nc); err != nil {
			return
		}
	}
	if secured, ok := c.nc.(*tls.Conn); ok {
		_ = c.nc.SetDeadline(time.Now().Add(c.server.HeaderTimeout))
		if secured.HandshakeContext(ctx) != nil { // most often it has been made
			return
		}
		_ = c.nc.SetDeadline(time.Time{})
		state := secured.ConnectionState()
		c.tls = &state
	}
	for c.await() {
		req, why := c.readRequest()
		if why != nil {
			c.refuse(why)
			return
		}
		if req == nil || !c.handle(ctx, req) {
			return
		}
		c.phase.Store(idle)
	}
}

// end closes the connection, unless a handler has it.
func (c *conn) end() {
	if c.phase.Load() == taken {
		return
	}
	c.release()
	_ = c.nc.Close()
}

// await waits for a request's first byte, holding no buffer meanwhile. It reports
// false when none comes.
func (c *conn) await() bool {
	if c.br != nil && c.br.Buffered() > 0 { // the client did not wait for the answer
		return !c.server.closing.Load() && c.phase.CompareAndSwap(idle, busy)
	}
	c.release()
	if c.phase.Load() == fresh {
		// Its first request is likely here already, so the buffer is filled at once.
		_ = c.nc.SetReadDeadline(time.Now().Add(c.server.HeaderTimeout))
		if c.server.closing.Load() {
			_ = c.nc.SetReadDeadline(time.Now().Add(freshGrace))
		}
		c.br = c.server.buffers.reader(&c.src)
		_, err := c.br.Peek(1)
		c.server.mu.Lock() // not while endIdle sets a deadline
		defer c.server.mu.Unlock()
		return err == nil && c.phase.CompareAndSwap(fresh, busy)
	}
	if len(c.src.ahead) == 0 && !c.awaitNext() {
		return false
	}
	if !c.phase.CompareAndSwap(idle, busy) {
		return false
	}
	c.br = c.server.buffers.reader(&c.src)
	return true
}

// settled is after how long without a request a connection is taken to be idle.
const settled = 500 * time.Millisecond

// awaitNext waits for the first byte of a further request, after a while on as little
// stack as can be.
func (c *conn) awaitNext() bool {
	until := time.Now().Add(c.server.IdleTimeout)
	_ = c.nc.SetReadDeadline(time.Now().Add(min(settled, c.server.IdleTimeout)))
	if c.server.closing.Load() { // endIdle may have set its deadline before
		return false
	}
	err := c.src.readAhead()
	for errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(until) {
		_ = c.nc.SetReadDeadline(until)
		if c.server.closing.Load() {
			return false
		}
		awaitReadable(c.below()) // TLS has nothing left either, or the read would have returned it
		err = c.src.readAhead()
	}
	return err == nil
}

// release gives the buffers back.
func (c *conn) release() {
	if c.br != nil {
		c.server.buffers.putReader(c.br)
		c.br = nil
	}
	if c.bw != nil {
		c.server.buffers.putWriter(c.bw)
		c.bw = nil
	}
}

// out returns the buffer of what is written.
func (c *conn) out() *bufio.Writer {
	if c.bw == nil {
		c.bw = c.server.buffers.writer(c.nc)
	}
	return c.bw
}

// endIdle ends the connection if it waits for a request. Its goroutine closes it: that
// takes leave in TLS, and may have to wait for the client. The caller holds the server's mu.
func (c *conn) endIdle() {
	switch {
	case c.phase.CompareAndSwap(idle, ending):
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	case c.phase.Load() == fresh:
		_ = c.nc.SetReadDeadline(time.Now().Add(freshGrace))
	}
}

// readRequest reads the header of a request. It returns neither a request nor a reason
// when the connection ended first.
func (c *conn) readRequest() (*http.Request, *Malformed) {
	block, why := c.header()
	if block == nil {
		return nil, why
	}
	facts, why := check(block)
	if why != nil {
		return nil, why
	}
	req, err := http.ReadRequest(c.br) // all of the header is buffered
	if err != nil {
		return nil, malformed("its request line or a field cannot be parsed")
	}
	if req.ContentLength < 0 {
		req.Body = newChunks(c.br, req)
	}
	if why := checkRequest(req); why != nil {
		return nil, why
	}
	if facts.addedCacheControl(req.Header) {
		delete(req.Header, "Cache-Control")
	}
	req.RemoteAddr, req.TLS = c.remote, c.tls
	return req, nil
}

// header waits until the whole header of a request is buffered, and returns its bytes,
// which are valid until the next read.
func (c *conn) header() ([]byte, *Malformed) {
	timed, empty, seen := false, 0, 0 // whether a deadline is set, how many lines were empty, how far it was looked at
	for {
		have, _ := c.br.Peek(c.br.Buffered()) // cannot fail: it is buffered
		if skip := emptyLine(have); skip > 0 && empty < maxEmpty {
			_, _ = c.br.Discard(skip)
			empty, seen = empty+1, 0
			continue
		}
		from := max(0, seen-3)
		if end := bytes.Index(have[from:], []byte("\r\n\r\n")); end >= 0 && from+end+4 <= c.server.MaxHeader {
			return have[:from+end+4], nil
		}
		if why := checkBegun(have, seen); why != nil {
			return nil, why
		}
		seen = len(have)
		if len(have) >= c.server.MaxHeader {
			return nil, tooLarge(c.server.MaxHeader)
		}
		if len(have) == c.br.Size() {
			c.grow(have)
			continue
		}
		if !timed {
			timed = true
			_ = c.nc.SetReadDeadline(time.Now().Add(c.server.HeaderTimeout))
		}
		if _, err := c.br.Peek(len(have) + 1); err != nil {
			switch timeout, ok := err.(net.Error); { //nolint:errorlint // bufio does not wrap
			case ok && timeout.Timeout() && len(have) > 1:
				return nil, tooSlow()
			case errors.Is(err, io.EOF) && len(have) > 0:
				return nil, malformed("it broke off within its header") // it may have ended its half alone
			}
			return nil, nil
		}
	}
}

// grow goes on with a larger buffer.
func (c *conn) grow(have []byte) {
	size := min(4*c.br.Size(), c.server.MaxHeader)
	ahead := bytes.Clone(have)
	c.server.buffers.putReader(c.br)
	c.src.ahead = ahead
	c.br = bufio.NewReaderSize(&c.src, size)
	_, _ = c.br.Peek(len(ahead)) // cannot fail: it is at hand
}
