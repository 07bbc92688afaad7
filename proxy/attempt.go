package proxy

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"
)

// A plan says how to make an attempt.
type plan struct {
	fresh    bool          // on a new connection
	keep     bool          // another attempt may follow whatever the answer is: keep the body
	follows  bool          // another attempt may follow if the pair is rejected
	noExpect bool          // the server does not understand Expect
	patience time.Duration // how long the server may keep it waiting; zero for ever

	stall       *stall                               // looks whether the bodies move; nil does not
	client      *wire                                // the body comes over it; nil where others share it
	interim     func(status int, fields http.Header) // told of answers before the final one; may be nil
	hidesExpect bool                                 // the client may have sent an Expect that cannot be seen
}

// send makes one attempt with this identity and judges it. writers is told of each
// goroutine that may outlast it.
func (id *identity) send(req *http.Request, body *replay, how plan, writers *sync.WaitGroup) outcome {
	o := outcome{identity: id}
	if err := req.Context().Err(); err != nil {
		o.err, o.verdict = context.Cause(req.Context()), failed
		return o
	}
	if needsHTTP2(req) && !id.plain {
		id.sendHTTP2(&o, req, body, how)
	} else {
		id.sendHTTP1(&o, req, body, how, writers)
	}
	if o.err != nil {
		o.verdict = judgeError(&o)
		return o
	}
	o.status = o.resp.StatusCode
	o.nginx400 = o.isNginx400(req.Method)
	o.verdict = judgeAnswer(&o, id.key.settings.Fallback)
	if o.verdict == accepted {
		o.conn.proven.Store(true)
	}
	if answer, ok := o.resp.Body.(*answerBody); ok {
		answer.releaseEmpty()
	}
	return o
}

func (id *identity) sendHTTP1(o *outcome, req *http.Request, body *replay, how plan, writers *sync.WaitGroup) {
	conn, err := id.acquire(req, body, how)
	if err != nil {
		o.err = err
		return
	}
	o.conn, o.reused = conn, conn.used
	if authenticatesConnection(req.Header) {
		if conn.client = clientConnOf(req.Context()); conn.client == nil {
			conn.client = new(clientConn) // nobody's ever again
		}
	}
	s := newSending(conn, req, o.read(body, req, how), how.patience)
	s.interim, s.client, s.stall = how.interim, how.client, how.stall
	s.stall.carriedBy(s)
	s.decideExpect(how)
	o.expectation = s.ours
	o.resp, o.err = s.roundTrip(writers)
	if o.resp != nil {
		if refused := conn.forwarding.Refusal(o.resp, req.Method, req.Host); refused != nil {
			_ = o.resp.Body.Close()
			o.resp, o.err = nil, &dialError{err: refused}
		}
	}
	o.unheard = s.unheard
	o.asked = conn.asked.Load() && id.pair != nil
	o.began = conn.received
	o.delivered, o.complete = s.delivered.Load(), s.complete.Load()
	o.waited = s.waited()
}

// acquire returns a connection: a kept one, as long as its death could do no harm.
// Whatever can be sent again may go over any kept one; the rest only over one that
// is surely open, or a new one.
func (id *identity) acquire(req *http.Request, body *replay, how plan) (*upstreamConn, error) {
	if !how.fresh {
		client := clientConnOf(req.Context())
		if hasEffects(req) || body.exists() && !how.keep {
			if c := id.idle.take(client, surelyOpen, 0); c != nil {
				return c, nil
			}
		} else if c := id.idle.take(client, id.idle.timeout, surelyOpen); c != nil {
			return c, nil
		}
	}
	return id.connect(req.Context())
}

// read returns the body for this attempt. Over a kept connection, which may die, it is kept
// unless it must not be sent again.
func (o *outcome) read(body *replay, req *http.Request, how plan) *replayReader {
	rd := body.reader(how.keep)
	if rd != nil && o.reused && !hasEffects(req) {
		rd.keepBriefly()
	}
	return rd
}

func (id *identity) sendHTTP2(o *outcome, req *http.Request, body *replay, how plan) {
	conn, reused, err := id.http2.acquire(req.Context(), how.fresh)
	if err != nil {
		o.err = err
		return
	}
	o.conn, o.reused = conn.upstreamConn, reused
	o.asked = conn.asked.Load() && id.pair != nil
	reader := o.read(body, req, how)
	o.resp, o.err = id.http2.roundTrip(conn, req, reader, how)
	if reader != nil {
		o.delivered, o.complete = reader.progress()
	}
	if o.err != nil {
		if broken := body.brokenOff(); broken != nil {
			o.err = &clientBodyError{broken}
		}
	}
}

// largeBody is from which size on a body is worth asking for: clients send Expect with
// such.
const largeBody = 1 << 20

// decideExpect decides whether the server is asked for the body first. The client's
// own Expect always goes on. Over HTTP/2 net/http hides it, so there each body is
// asked for that a client would have sent it with.
func (s *sending) decideExpect(how plan) {
	if s.body == nil {
		return
	}
	if s.req.Header.Get("Expect") != "" { // net/http refuses any other than 100-continue
		s.expect, s.hesitation = true, clientsHesitation
		return
	}
	mayHide := how.hidesExpect && (s.req.ContentLength < 0 || s.req.ContentLength >= largeBody)
	unproven := how.follows && !s.conn.proven.Load()
	if how.noExpect || !mayHide && !unproven {
		return
	}
	s.expect, s.ours, s.hesitation = true, true, ourHesitation
	out := *s.req
	out.Header = maps.Clone(s.req.Header)
	out.Header["Expect"] = []string{"100-continue"}
	s.req = &out
}

// isClientGone reports whether an attempt ended because of the client.
func isClientGone(err error) bool {
	var broken *clientBodyError
	return errors.Is(err, context.Canceled) || errors.As(err, &broken)
}

// pageWithin is how long the page of a 400 may take, which must be looked at.
const pageWithin = 2 * time.Second

func (o *outcome) isNginx400(method string) bool {
	if o.status != http.StatusBadRequest {
		return false
	}
	if !o.conn.shared {
		_ = o.conn.raw.SetReadDeadline(time.Now().Add(pageWithin))
		defer func() { _ = o.conn.raw.SetReadDeadline(time.Time{}) }()
	}
	return isNginxCertificateError(o.resp, method)
}
