package proxy

import (
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
)

// An exchange is one request of an intercepted connection and its answer, as the
// log line at its end tells it.
type exchange struct {
	host     *upstream
	pair     string // whose answer was returned
	up       int64  // bytes of the client after a 101
	attempts int
	refused  *refusal // when the answer is our own
	canceled bool     // the client went away before the answer
	broken   bool     // the answer broke off
	seenAs   string   // scheme://authority by which the client knows the host, where that is another

	trailers func() http.Header // of the request, once its body has ended
	look     stall              // what stall points to; here, for each request has one
	stall    *stall             // looks whether the bodies move; nil does not
	body     *replay            // of the request, once it is tried
	writers  sync.WaitGroup     // for the goroutines that send it
}

// end waits for all that the request has begun. The server may have answered before
// the body's end, and a writer still wait for the client: its connection is told to
// read no further.
func (x *exchange) end(w http.ResponseWriter) {
	if x.body != nil {
		x.body.end(func() { _ = http.NewResponseController(w).SetReadDeadline(passed()) })
	}
	x.writers.Wait()
	x.stall.stop()
}

// boundRest bounds the writing of what is left of the answer when the handler returns: by
// the time of stream_idle_timeout, or by another where there is no host. Over HTTP/2 an
// http2Watch looks at it.
func (x *exchange) boundRest(w http.ResponseWriter, r *http.Request, unknown time.Duration) {
	if r.ProtoMajor > 1 {
		return
	}
	within := unknown
	switch {
	case x.stall.ended() != nobody:
		within = stallGrace
	case x.host != nil:
		within = x.host.settings.StreamIdleTimeout
	}
	var until time.Time
	if within > 0 {
		until = time.Now().Add(within)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(until)
}

// serveInner answers one request of an intercepted connection.
func (p *Proxy) serveInner(w http.ResponseWriter, r *http.Request) {
	inner, ok := r.Context().Value(interceptKey{}).(*interceptedConn)
	if !ok {
		internalRefusal().serve(w, r)
		return
	}
	p.rest.stir()
	var client *wire
	if r.ProtoMajor == 1 { // in HTTP/2 the wire is not one request's
		client = inner.wire
	} else {
		inner.http2.serves(1)
		defer inner.http2.serves(-1)
	}
	c := inner.connect
	c.settle()
	p.serveRequest(w, r, &c.visit, client, func() (*upstream, *refusal) {
		if refused := sameHost(c, r); refused != nil {
			return nil, refused
		}
		host, ok := p.config.Index.Lookup(c.authority)
		if !ok || host.Action == certs.Tunnel {
			return nil, goneRefusal(c)
		}
		return p.listed(r, &c.visit, host)
	})
}

// serveRequest answers one request, whatever door it came in by. find says which
// upstream it goes to, as of the index in use now.
func (p *Proxy) serveRequest(w http.ResponseWriter, r *http.Request, v *visit, client *wire, find func() (*upstream, *refusal), change ...func(*exchange)) {
	began, x := time.Now(), &exchange{trailers: func() http.Header { return r.Trailer }}
	p.live.requests.Add(1)
	for _, f := range change {
		f(x)
	}
	rec := &recorder{ResponseWriter: w, wire: client}
	defer func() { p.ended(v, r, rec, x, began) }() // an aborted transfer is a panic that goes on
	defer x.boundRest(w, r, p.config.HeaderTimeout)
	defer x.end(w)
	switch {
	case isH2C(r.Header):
		x.refused = h2cRefusal()
	default:
		x.refused = p.loops(r)
	}
	if x.refused == nil {
		x.host, x.refused = find()
	}
	if x.refused != nil {
		x.refused.serve(rec, r)
		return
	}
	p.carry(rec, r, x)
}

// listed returns the upstream of a host that has a directory, if the visitor may use
// its identities.
func (p *Proxy) listed(r *http.Request, v *visit, host *certs.Host) (*upstream, *refusal) {
	if refused := v.may(r.Context(), UseIdentity); refused != nil {
		return nil, refused
	}
	if host.Action == certs.Unusable {
		return nil, unusableRefusal(host)
	}
	return p.upstreams.get(p.config.Index, host), nil
}

// ended tells of a request that is over: in the log, and to whoever watches. The path is
// without its query, which may hold a token.
func (p *Proxy) ended(v *visit, r *http.Request, rec *recorder, x *exchange, began time.Time) {
	p.live.requests.Add(-1)
	took, path := time.Since(began), printable(r.URL.EscapedPath(), 500)
	p.logRequest(v, r, rec, x, took, path)
	if p.config.RequestEnded == nil {
		return
	}
	end := RequestEnd{Client: v.asClient(), Host: v.authority, Method: printable(r.Method, 20), Path: path, Status: rec.status, Pair: x.pair, Attempts: x.attempts,
		BytesIn: x.up, BytesOut: rec.bytes, Began: began, Duration: took, Ending: Served}
	if x.body != nil {
		end.BytesIn += x.body.read()
	}
	switch {
	case x.canceled:
		end.Ending = Canceled
	case x.refused != nil:
		end.Ending, end.Refusal, end.Reason, end.Hint = Refused, x.refused.kind, x.refused.text, x.refused.hint
	case x.broken:
		end.Ending = Broken
		end.Reason, end.Hint = x.stall.tells(v.authority)
	}
	p.config.RequestEnded(end)
}

// logRequest writes the one line of a request.
func (p *Proxy) logRequest(v *visit, r *http.Request, rec *recorder, x *exchange, took time.Duration, path string) {
	level, message := zap.InfoLevel, "request served"
	stalled := x.stall.ended() != nobody && (x.broken || x.refused != nil)
	switch {
	case stalled:
		level, message = zap.WarnLevel, "request stalled"
	case x.refused != nil:
		level, message = zap.WarnLevel, "request refused"
	case x.canceled:
		message = "request canceled by the client"
	}
	entry := p.log.Check(level, message)
	if entry == nil {
		return // the fields cost more than many a request
	}
	fields := append(v.who(), zap.String("method", r.Method),
		zap.String("path", path), zap.Int("status", rec.status), zap.String("pair", x.pair),
		zap.Int("attempts", x.attempts), zap.Int64("bytes", rec.bytes), zap.Duration("duration", took))
	if stalled {
		reason, hint := x.stall.tells(v.authority)
		fields = append(fields, zap.Int64("bytes_up", x.body.read()), zap.String("reason", reason), zap.String("hint", hint))
	} else if x.refused != nil {
		fields = append(fields, zap.String("reason", x.refused.text), zap.String("hint", x.refused.hint))
	}
	entry.Write(fields...)
}

// A recorder notes the status and size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	wire   *wire  // to the client; nil where others share it
	stall  *stall // looks whether the answer moves; nil does not
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	} else {
		w.stall.writes() // at once
		defer w.stall.wrote()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.stall.writes()
	defer w.stall.wrote()
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// flush sends all that was written.
func (w *recorder) flush() error {
	w.stall.writes()
	defer w.stall.wrote()
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil || w.wire == nil {
		return err
	}
	return w.wire.flush()
}

// writeWide says whether much is to be written.
func (w *recorder) writeWide(wide bool) error {
	if w.wire == nil {
		return nil
	}
	w.stall.writes()
	defer w.stall.wrote()
	return w.wire.writeWide(wide)
}
