package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// An upstreamConn is one HTTP/1.1 connection to a host, made with one identity. It
// carries one request at a time: the request's own goroutine writes it and reads its
// answer, so whatever the connection has to say about the certificate is known where
// it is judged. net/http's transport would tell less: when a write fails, it drops
// the alert that the server sent before.
type upstreamConn struct {
	id   *identity
	raw  net.Conn // the TCP connection
	wire *wire    // the same below TLS
	over stream   // what HTTP is spoken on: TLS, or the wire itself
	in   *bufio.Reader
	out  requestWriter
	used bool // it has carried a request before this one

	client *clientConn // whose alone it is, because they have authenticated on it; nil for nobody's

	forwarding *upstreamproxy.Forwarding // how requests are written to a proxy of the site; nil for the host itself

	// shared reports that it speaks HTTP/2: many requests are on it at once, and
	// deadlines of one must not be set on it.
	shared bool

	// asked reports that the server asked for a certificate: in the handshake, or
	// later in a renegotiation.
	asked atomic.Bool
	// proven reports that the server was content with the certificate: an answer came
	// that says nothing against it, or the server began HTTP/2.
	proven atomic.Bool

	headerLeft int64 // how many bytes the header being read may still take
	received   bool  // something came in since the request was begun
	idleSince  time.Time
}

// maxAnswerHeader bounds the header of an answer.
const maxAnswerHeader = 1 << 20

var errAnswerHeader = errors.New("the header of its answer is larger than 1 MiB")

// A stream is a connection of which one half can be ended.
type stream interface {
	net.Conn
	CloseWrite() error
}

// newPlainConn wraps a connection without TLS.
func newPlainConn(id *identity, raw net.Conn, forwarding *upstreamproxy.Forwarding) *upstreamConn {
	c := &upstreamConn{id: id, raw: raw, headerLeft: math.MaxInt64, forwarding: forwarding}
	c.wire = id.dialer.newWire(raw)
	c.speak(c.wire)
	return c
}

// newUpstreamConn wraps a connection whose TLS handshake is about to be made.
func newUpstreamConn(id *identity, raw net.Conn, protocol ...string) (*upstreamConn, *tls.Conn) {
	c := &upstreamConn{id: id, raw: raw, headerLeft: math.MaxInt64}
	config := id.tls.Clone()
	if len(protocol) > 0 {
		config.NextProtos = protocol
	}
	config.GetClientCertificate = func(cri *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked.Store(true)
		return id.certificate(cri)
	}
	c.wire = id.dialer.newWire(raw)
	secured := tls.Client(c.wire, config)
	c.speak(secured)
	return c, secured
}

func (c *upstreamConn) speak(over stream) {
	c.over = over
	c.in = bufio.NewReader(receiver{c})
	c.out.buf = bufio.NewWriter(over)
}

// open reports whether an unused connection can take another request.
func (c *upstreamConn) open() bool { return !c.wire.atHand() && quiet(c.raw) }

// close ends the connection, telling the other side.
func (c *upstreamConn) close() { _ = c.over.Close() }

// kill ends the connection at once, whoever is using it.
func (c *upstreamConn) kill() { _ = c.wire.Close() }

// release is for when a request has its whole answer: the connection waits for the
// next one, unless it or its identity has come to an end.
func (c *upstreamConn) release(reusable bool) {
	if !reusable || c.in.Buffered() > 0 {
		c.close()
		return
	}
	c.used = true
	_ = c.raw.SetReadDeadline(time.Time{})
	c.id.idle.put(c)
}

// A receiver reads the connection for its buffer, and notes that something came.
type receiver struct{ c *upstreamConn }

func (r receiver) Read(b []byte) (int, error) {
	if r.c.headerLeft <= 0 {
		return 0, errAnswerHeader
	}
	n, err := r.c.over.Read(b[:min(int64(len(b)), r.c.headerLeft)])
	if n > 0 {
		r.c.received = true
		r.c.headerLeft -= int64(n)
	}
	return n, err
}

// A requestWriter buffers a request. It hides the buffer's ReadFrom, under which the
// buffer must not be flushed: the body's reader flushes it before it waits.
type requestWriter struct{ buf *bufio.Writer }

func (w requestWriter) Write(b []byte) (int, error)       { return w.buf.Write(b) }
func (w requestWriter) WriteString(s string) (int, error) { return w.buf.WriteString(s) }
func (w requestWriter) WriteByte(b byte) error            { return w.buf.WriteByte(b) }
