package rig

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A Fickle server loses requests as every server with a keep-alive timeout does: a
// request that arrives in the moment in which the server closes the connection,
// which was idle so far, is not read. Here that moment comes for every other
// connection that was idle for long enough.
type Fickle struct {
	Unread atomic.Int64 // requests lost so far
	idle   atomic.Int64 // when a connection last became idle, see fickleConn
}

// keepAlive is shorter than the timeouts that servers have: Apache's is 5 s, nginx's
// 75 s. A connection that was used since is never closed without a word.
const keepAlive = 2 * time.Second

// Adjust makes the server one, see [ServeTLSWith].
func (f *Fickle) Adjust(server *httptest.Server) {
	server.Listener = fickleListener{server.Listener, f}
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if secured, ok := c.(*tls.Conn); ok && state == http.StateIdle {
			now := time.Now().UnixNano()
			secured.NetConn().(*fickleConn).idle.Store(now)
			f.idle.Store(now)
		}
	}
}

// AwaitOld waits until every connection that is kept is old enough to be closed.
// No request may be under way.
func (f *Fickle) AwaitOld(t testing.TB) {
	t.Helper()
	Eventually(t, "kept connections get old", func() bool { return olderThan(f.idle.Load(), keepAlive) })
}

func olderThan(nano int64, age time.Duration) bool { return time.Since(time.Unix(0, nano)) > age }

type fickleListener struct {
	net.Listener
	*Fickle
}

func (l fickleListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &fickleConn{Conn: c, server: l.Fickle}, nil
}

type fickleConn struct {
	net.Conn
	server *Fickle
	idle   atomic.Int64 // since when, in nanoseconds since 1970; 0 while it is used
}

// Read closes the connection instead, if a request has come and it is the time,
// with a reset or without.
func (c *fickleConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	// What a peer says when it closes is shorter than a request.
	const alert = 64
	if n <= alert {
		return n, err
	}
	if since := c.idle.Swap(0); since != 0 && olderThan(since, keepAlive) && rand.IntN(2) == 0 {
		c.server.Unread.Add(1)
		if rand.IntN(2) == 0 {
			c.Conn.(*net.TCPConn).SetLinger(0)
		}
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}
