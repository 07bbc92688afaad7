package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// needsHTTP2 reports whether a request makes sense over HTTP/2 only: gRPC, which
// answers while it is asked and tells its outcome in trailers.
func needsHTTP2(req *http.Request) bool {
	rest, ok := strings.CutPrefix(req.Header.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// errNoHTTP2 means that gRPC was asked of a host that does not speak HTTP/2.
var errNoHTTP2 = errors.New("it does not speak HTTP/2, which gRPC needs")

// http2Conns are an identity's HTTP/2 connections: one at a time takes new requests.
type http2Conns struct {
	id        *identity
	transport *http.Transport // makes a connection at a time; pools nothing
	dialing   chan struct{}   // held while a connection is made, so that one serves all who wait

	mu      sync.Mutex
	current *http2Conn
	retired bool
}

// An http2Conn is one connection and how many requests are on it.
type http2Conn struct {
	*upstreamConn
	client *http.ClientConn

	// Guarded by http2Conns.mu.
	users int
	last  bool // ends with its last user
}

type http2ConnKey struct{}

func (h *http2Conns) setUp(id *identity, idle time.Duration) {
	h.id = id
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // to net/http: TLS is made below it
	h.transport = &http.Transport{
		Protocols: protocols,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.dial(ctx, ctx.Value(http2ConnKey{}).(*http2Conn))
		},
		DisableCompression:     true, // bodies and their codings are the client's business
		IdleConnTimeout:        idle,
		MaxResponseHeaderBytes: maxAnswerHeader,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second}, // a ping then finds a dead peer
	}
	h.dialing = make(chan struct{}, 1)
}

// acquire returns a connection for one request, and whether it carried others
// before. fresh wants a new one.
func (h *http2Conns) acquire(ctx context.Context, fresh bool) (c *http2Conn, reused bool, err error) {
	if c := h.take(fresh); c != nil {
		return c, true, nil
	}
	select {
	case h.dialing <- struct{}{}:
		defer func() { <-h.dialing }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if c := h.take(fresh); c != nil { // made while we waited
		return c, true, nil
	}
	c = &http2Conn{users: 1}
	if c.client, err = h.transport.NewClientConn(context.WithValue(ctx, http2ConnKey{}, c), "https", h.id.authority); err != nil {
		return nil, false, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.current; old != nil {
		h.retireConn(old)
	}
	h.current, c.last = c, h.retired
	return c, false, nil
}

// dial makes c's connection. The server speaks first (RFC 9113 section 3.4), and only
// when it is content with the certificate: waiting for that tells a rejection before
// any of the request is sent.
func (h *http2Conns) dial(ctx context.Context, c *http2Conn) (net.Conn, error) {
	conn, err := h.id.connect(ctx, "h2")
	if err != nil {
		return nil, err
	}
	c.upstreamConn = conn
	if secured, ok := conn.over.(*tls.Conn); !ok || secured.ConnectionState().NegotiatedProtocol != "h2" {
		conn.close()
		return nil, errNoHTTP2
	}
	_ = conn.raw.SetReadDeadline(time.Now().Add(ourHesitation))
	_, err = conn.in.Peek(1)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		conn.kill()
		return nil, &handshakeError{err: err, presented: conn.asked.Load() && h.id.pair != nil}
	}
	_ = conn.raw.SetReadDeadline(time.Time{})
	conn.shared = true
	conn.proven.Store(err == nil)
	return http2Wire{conn.over, conn.in}, nil
}

func (h *http2Conns) take(fresh bool) *http2Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.current
	if c == nil || fresh || c.client.Available() == 0 {
		return nil
	}
	c.users++
	return c
}

// release is for when a request is over.
func (h *http2Conns) release(c *http2Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.users--
	if c.last && c.users == 0 {
		_ = c.client.Close()
	}
}

// retireConn lets a connection's requests finish and no other begin. The caller
// holds mu.
func (h *http2Conns) retireConn(c *http2Conn) {
	c.last = true
	if c.users == 0 {
		_ = c.client.Close()
	}
}

func (h *http2Conns) retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retired = true
	if h.current != nil {
		h.retireConn(h.current)
		h.current = nil
	}
}

// roundTrip sends a request and returns the answer, whose body holds the connection.
// The wait for the answer begins when the request's body has ended.
func (h *http2Conns) roundTrip(c *http2Conn, req *http.Request, body *replayReader, how plan) (*http.Response, error) {
	patience := how.patience
	ctx, cancel := context.WithCancelCause(req.Context())
	call := &http2Call{cancel: cancel}
	how.stall.carriedBy(call)
	out := req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(status int, fields textproto.MIMEHeader) error {
			if how.interim != nil && status != http.StatusContinue {
				how.interim(status, http.Header(fields))
			}
			return nil
		},
	}))
	out.Body = nil
	wait := func() {}
	if patience > 0 {
		timer := time.AfterFunc(patience, func() { cancel(errAttemptTimeout) })
		defer timer.Stop()
		if body != nil {
			timer.Stop()
			wait = func() { timer.Reset(patience) }
		}
	}
	if body != nil {
		out.Trailer = maps.Clone(req.Trailer)
		out.Body = &endingBody{replayReader: body, stall: how.stall, ended: func() {
			if out.Trailer != nil {
				body.copyTrailers(out.Trailer)
			}
			wait()
		}}
	}
	resp, err := c.client.RoundTrip(out)
	if err != nil {
		how.stall.sent()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		h.release(c)
		return nil, err
	}
	answer := &http2Answer{ReadCloser: resp.Body, stall: how.stall, call: call, end: func() { cancel(nil); h.release(c) }}
	call.answer.Store(answer)
	resp.Body = answer
	return resp, nil
}

// An http2Call is one request of a connection, which can be given up alone.
type http2Call struct {
	cancel context.CancelCauseFunc
	answer atomic.Pointer[http2Answer] // once its header has come
}

// giveUp ends the request. The transport notices the end of the context between two
// pieces of the request's body only, so the answer's is closed, too.
func (c *http2Call) giveUp() {
	c.cancel(errStalled)
	if answer := c.answer.Load(); answer != nil {
		_ = answer.ReadCloser.Close()
	}
}

// An endingBody tells when a body has been read to its end.
type endingBody struct {
	*replayReader
	stall *stall
	ended func()
}

func (b *endingBody) Read(p []byte) (int, error) {
	b.stall.sends()
	n, err := b.replayReader.Read(p)
	if n > 0 {
		b.stall.move()
	}
	if errors.Is(err, io.EOF) {
		b.stall.sent()
		b.ended()
	}
	return n, err
}

// An http2Answer is the body of an answer, which gives its connection back.
type http2Answer struct {
	io.ReadCloser
	stall *stall
	call  *http2Call
	once  sync.Once
	end   func()
}

func (a *http2Answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if n > 0 {
		a.stall.move()
	}
	return n, err
}

func (a *http2Answer) Close() error {
	err := a.ReadCloser.Close()
	a.once.Do(a.end)
	return err
}

// An http2Wire reads through the buffer that was peeked into.
type http2Wire struct {
	net.Conn
	in *bufio.Reader
}

func (w http2Wire) Read(b []byte) (int, error) { return w.in.Read(b) }
