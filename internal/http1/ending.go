package http1

import (
	"io"
	"net"
	"time"
)

// refuse answers a request that was not understood.
func (c *conn) refuse(why *Malformed) {
	_ = c.nc.SetDeadline(time.Now().Add(lingerFor))
	c.server.Refuse(c.nc, why)
	c.linger()
}

const (
	// How long and how far an unwanted body is read so that the connection can go on.
	drainFor = 200 * time.Millisecond
	drainMax = 64 << 10
	// How long and how far a client is read that has got its last answer.
	lingerFor = time.Second
	lingerMax = 1 << 20
)

// linger lets the last answer reach a client that is still sending: closing with
// unread bytes would reset the connection and take the answer with it.
func (c *conn) linger() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	below := c.below()
	if half, ok := below.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	until := time.Now().Add(lingerFor)
	_ = below.SetReadDeadline(until)
	if n, _ := io.CopyN(io.Discard, below, lingerMax); n == lingerMax {
		<-time.After(time.Until(until)) // it may be reading by now; to read on would only let it send on
	}
}

// abort ends the connection in a way that nobody can take for the end of an answer: no
// close_notify of TLS, and a reset of TCP, for some (Go's crypto/tls among them) do not
// miss that.
func (c *conn) abort() {
	below := c.below()
	if tcp, ok := below.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = below.Close()
}

// below returns the connection without TLS.
func (c *conn) below() net.Conn {
	below := c.nc
	for {
		over, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			return below
		}
		below = over.NetConn()
	}
}
