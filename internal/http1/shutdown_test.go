package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// What was accepted just before a shutdown and becomes a request meanwhile has all the
// time for its body.
func TestAShutdownDoesNotHurryARequestThatHasJustBegun(t *testing.T) {
	server, peer := net.Pipe()
	reading, read := make(chan struct{}), make(chan error, 1)
	s := newServer(func(_ http.ResponseWriter, req *http.Request) {
		close(reading)
		_, err := io.Copy(io.Discard, req.Body)
		read <- err
	})
	defer s.Close()
	hook := &slowDeadline{Conn: server, waits: make(chan struct{}), graced: make(chan struct{}), onward: make(chan struct{})}
	s.Go(context.Background(), hook)
	within(t, "the wait for a request", hook.waits)
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(context.Background()) }()
	within(t, "the shutdown's deadline", hook.graced)
	_, _ = io.WriteString(peer, post(2))
	select { // the request begins while the deadline is on its way, or waits for it
	case <-reading:
	case <-time.After(50 * time.Millisecond):
	}
	close(hook.onward)
	within(t, "the request", reading)
	<-time.After(freshGrace + 100*time.Millisecond) // what must not happen takes as long
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	_, _ = io.WriteString(peer, "ok")
	if err := within(t, "the body", read); err != nil {
		t.Errorf("its body: %v", err)
	}
	if err := within(t, "the shutdown", shut); err != nil {
		t.Error(err)
	}
	_ = peer.Close()
}

// A slowDeadline lets a short read deadline wait for the test.
type slowDeadline struct {
	net.Conn
	waits, graced, onward chan struct{}
	once, begun           sync.Once
}

func (c *slowDeadline) Read(p []byte) (int, error) {
	c.begun.Do(func() { close(c.waits) })
	return c.Conn.Read(p)
}

func (c *slowDeadline) SetReadDeadline(d time.Time) error {
	if !d.IsZero() && time.Until(d) <= freshGrace {
		c.once.Do(func() {
			close(c.graced)
			<-c.onward
		})
	}
	return c.Conn.SetReadDeadline(d)
}

// A client that reads nothing must not hold up the server's end: taking leave of it in
// TLS may wait.
func TestAShutdownDoesNotWaitForAnIdleClientThatReadsNothing(t *testing.T) {
	closing, leave := make(chan struct{}), make(chan struct{})
	server, peer := net.Pipe()
	s := newServer(func(http.ResponseWriter, *http.Request) {})
	s.Go(context.Background(), &slowClose{Conn: server, closing: closing, leave: leave})
	_, _ = io.WriteString(peer, get)
	_, _ = io.ReadFull(peer, make([]byte, len("HTTP/1.1 200 OK\r\n")))
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(ctx) }()
	within(t, "the close", closing)
	if err := within(t, "the shutdown", shut); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	close(leave)
	s.Close()
	_ = peer.Close()
}

type slowClose struct {
	net.Conn
	closing, leave chan struct{}
	once           sync.Once
}

func (c *slowClose) Close() error {
	c.once.Do(func() {
		close(c.closing)
		<-c.leave
	})
	return c.Conn.Close()
}

// A connection may have been accepted at the very moment at which the server begins to
// shut down: its client was told so by the kernel, and is answered.
func TestAShutdownAnswersWhatWasAcceptedMeanwhile(t *testing.T) {
	server, peer := net.Pipe()
	s := newServer(func(http.ResponseWriter, *http.Request) {})
	defer s.Close()
	l := &lateListener{conn: server, accepting: make(chan struct{}), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	within(t, "the accept", l.accepting)
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(context.Background()) }()
	answer := make(chan error, 1)
	go func() {
		_, _ = io.WriteString(peer, get)
		_, err := io.ReadFull(peer, make([]byte, len("HTTP/1.1 200 OK\r\n")))
		answer <- err
		_, _ = io.Copy(io.Discard, peer)
	}()
	if err := within(t, "the answer", answer); err != nil {
		t.Error(err)
	}
	if err := within(t, "the shutdown", shut); err != nil {
		t.Error(err)
	}
	if err := within(t, "the end of Serve", served); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	_ = peer.Close()
}

// A lateListener has accepted a connection when it is closed.
type lateListener struct {
	conn              net.Conn
	accepting, closed chan struct{}
	begun, once       sync.Once
}

func (l *lateListener) Accept() (net.Conn, error) {
	l.begun.Do(func() { close(l.accepting) })
	<-l.closed
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *lateListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *lateListener) Addr() net.Addr { return &net.TCPAddr{} }
