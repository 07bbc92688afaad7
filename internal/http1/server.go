// Package http1 serves HTTP/1.0 and 1.1 to the clients of a proxy.
//
// The parsing is net/http's ([http.ReadRequest]); what is around it differs from
// [http.Server], which is made for origin servers:
//
//   - The raw header is held against RFC 9112 before it is parsed: whatever two
//     readers could understand differently is refused, not repaired.
//   - Buffers belong to a request, not to a connection, so that a thousand idle
//     connections cost little.
//   - Whether the client is still there is watched only while a request takes long:
//     a goroutine per request costs more than a small request itself.
//   - Nothing is guessed and nothing held back: no Content-Type, no Content-Length
//     for what has none, and a 304 keeps its fields. An aborted answer looks like one,
//     even where only the end of the connection would end it.
package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Server serves the connections of its listeners, and those it is given. Its fields
// must not change once it serves.
type Server struct {
	Handler http.Handler

	HeaderTimeout time.Duration // for a request's header, from its first byte or from the connection's beginning
	IdleTimeout   time.Duration // how long a connection may wait for its next request
	MaxHeader     int           // bytes of a request's header; more is answered 431

	// Begin is called with each accepted connection, on its goroutine and before anything
	// is read of it; it may make a TLS handshake. The context it returns is that of the
	// requests. An error ends the connection. May be nil.
	Begin func(ctx context.Context, nc net.Conn) (context.Context, error)
	// Refuse writes the answer to a request that was not understood; its connection
	// ends with it.
	Refuse func(w io.Writer, why *Malformed)
	// Panicked is told what a handler panicked with, on its goroutine. The connection
	// is aborted. [http.ErrAbortHandler] aborts without it.
	Panicked func(v any)
	// Retried is told when a connection could not be accepted and that is tried again,
	// because the process or the machine has run out of something. May be nil.
	Retried func(err error)

	buffers buffers
	closing atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	changed   chan struct{} // closed and replaced when a connection or a listener goes; nil while nobody waits
	closed    bool          // every connection has been aborted: none is taken any more
	wait      sync.WaitGroup
}

// ErrClosed is what Serve returns after Shutdown or Close.
var ErrClosed = errors.New("http1: the server was closed")

const (
	// The pauses after an accept that failed for want of descriptors or memory.
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
	// freshGrace is how long a connection may take for its first request when the
	// server is shutting down: it was accepted, so its request may be on the way.
	freshGrace = 500 * time.Millisecond
)

// Serve accepts connections until the listener fails, or the server is shut down. It
// closes the listener. It ends with ctx only while it cannot accept. The requests' contexts come from ctx and have the local address
// under [http.LocalAddrContextKey].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !s.listens(l, true) {
		return ErrClosed
	}
	defer s.listens(l, false)
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		var failed net.Error
		switch {
		case err == nil:
			pause = 0
			// Even if the server has begun to shut down since: its client was accepted.
			if !s.start(context.WithValue(ctx, http.LocalAddrContextKey, c.LocalAddr()), c, true) {
				_ = c.Close()
			}
		case s.closing.Load():
			return ErrClosed
		case errors.As(err, &failed) && failed.Temporary(): //nolint:staticcheck // for EMFILE and the like there is no other word
			pause = min(max(2*pause, shortestPause), longestPause)
			if s.Retried != nil {
				s.Retried(err)
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return err
		}
	}
}

// Go serves a connection on a goroutine of its own, and closes it. It reports false,
// and does nothing, when the server is shutting down. The context of a request ends with
// its connection: what a handler leaves waiting for it waits until then.
func (s *Server) Go(ctx context.Context, nc net.Conn) bool { return s.start(ctx, nc, false) }

func (s *Server) start(ctx context.Context, nc net.Conn, accepted bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	c := &conn{server: s, nc: nc, cancel: cancel}
	c.src.c = nc
	if !s.add(c, accepted) {
		cancel()
		return false
	}
	go func() {
		defer s.wait.Done()
		defer s.remove(c)
		defer cancel()
		c.serve(ctx)
	}()
	return true
}

// Shutdown stops accepting, ends idle connections, and waits until the requests under
// way have been answered, or ctx ends. Connections that a handler has taken over are
// not its concern.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	for {
		s.mu.Lock()
		left := len(s.conns) + len(s.listeners)
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		for c := range s.conns {
			c.endIdle()
		}
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close aborts every connection and waits until nobody serves any.
func (s *Server) Close() {
	s.stopAccepting()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.cancel()
		c.abort()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// Connections is how many connections it serves.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	for l := range s.listeners {
		_ = l.Close()
	}
}

// listens notes a listener, or forgets it. It reports false when there is to be none.
func (s *Server) listens(l net.Listener, begin bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !begin {
		delete(s.listeners, l)
		s.tell()
		return true
	}
	if s.closing.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]struct{}{}
	}
	s.listeners[l] = struct{}{}
	return true
}

// add notes a connection. One that was accepted is taken while the server shuts down, too:
// that waits until nobody accepts any more.
func (s *Server) add(c *conn, accepted bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.closing.Load() && !accepted {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	s.wait.Add(1)
	return true
}

// remove forgets a connection: it has ended, or a handler has taken it over.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c]; !ok {
		return
	}
	delete(s.conns, c)
	s.tell()
}

// tell wakes whoever waits for a connection or a listener to go. The caller holds mu.
func (s *Server) tell() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
