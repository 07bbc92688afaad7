package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
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
	attempts int
	refused  *refusal // when the answer is our own
	canceled bool     // the client went away before the answer

	trailers func() http.Header // of the request, once its body has ended
	body     *replay            // of the request, once it is tried
	writers  sync.WaitGroup     // for the goroutines that send it
}

// end waits for all that the request has begun. The server may have answered before
// the body's end, and a writer still wait for the client: its connection is told to
// read no further.
func (x *exchange) end(w http.ResponseWriter) {
	if x.body != nil {
		x.body.end(func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	}
	x.writers.Wait()
}

type exchangeKey struct{}

// serveInner answers one request of an intercepted connection.
func (p *Proxy) serveInner(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(interceptKey{}).(*connect)
	if !ok {
		internalRefusal().serve(w, r)
		return
	}
	began, x := time.Now(), &exchange{trailers: func() http.Header { return r.Trailer }}
	rec := &recorder{ResponseWriter: w, conns: p.conns}
	defer rec.end()
	defer func() { p.logRequest(c, r, rec, x, began) }() // an aborted transfer is a panic that goes on
	defer x.end(w)
	if x.refused = p.admitRequest(c, r, x); x.refused != nil {
		x.refused.serve(rec, r)
		return
	}
	// Without it, net/http reads on in a body that the host does not want before it
	// lets the host's answer through. HTTP/2 needs it not, and says so.
	_ = http.NewResponseController(w).EnableFullDuplex()
	p.reverse(x).ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// admitRequest checks a request and finds its upstream, as of the index in use now.
func (p *Proxy) admitRequest(c *connect, r *http.Request, x *exchange) *refusal {
	if refused := sameHost(c, r); refused != nil {
		return refused
	}
	if isH2C(r.Header) {
		return h2cRefusal()
	}
	host, ok := p.config.Index.Lookup(c.authority)
	switch {
	case !ok || host.Action == certs.Tunnel:
		return goneRefusal(c)
	case host.Action == certs.Unusable:
		return unusableRefusal(host)
	}
	x.host = p.upstreams.get(p.config.Index, host)
	return nil
}

// reverse returns the handler that carries a request to its upstream and the answer
// back. It is httputil.ReverseProxy with what that changes put back as it was: a
// forward proxy leaves requests alone.
func (p *Proxy) reverse(x *exchange) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:       func(pr *httputil.ProxyRequest) { forward(pr, x.host.host.Name) },
		Transport:     &attempts{upstream: x.host, exchange: x, send: (*identity).send, told: p.config.Attempted, log: p.log, spoolDir: p.config.ReplayDir},
		FlushInterval: -1, // whoever streams slowly has a reader who waits
		ErrorLog:      zap.NewStdLog(p.log.Named("http")),
		BufferPool:    p.upstreams.buffers,
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Add("Via", via(resp.ProtoMajor, resp.ProtoMinor))
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil || isClientGone(err) {
				x.canceled = true
				panic(http.ErrAbortHandler) // nobody is there to read an answer
			}
			if !errors.As(err, &x.refused) {
				x.refused = upstreamRefusal(x.host.host, err)
			}
			x.refused.serve(w, r)
		},
	}
}

// forward makes the outgoing request: the same method, target, query and fields.
func forward(pr *httputil.ProxyRequest, authority string) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host = "https", authority
	if out.Host = in.Host; out.Host == "" { // HTTP/1.0
		out.Host = strings.TrimSuffix(authority, ":443")
	}
	// ReverseProxy drops these and cleans the query; both are the client's own.
	out.URL.RawQuery = in.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := in.Header[name]; ok {
			out.Header[name] = v
		}
	}
	// The path goes out as it came in: net/url would escape some bytes anew.
	if path, _, _ := strings.Cut(in.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		out.URL.Opaque = path
	}
	out.Header.Add("Via", via(in.ProtoMajor, in.ProtoMinor))
}

// via is our entry in a Via field (RFC 9110 section 7.6.3).
func via(major, minor int) string {
	if major >= 2 {
		return "2.0 certproxy"
	}
	return "1." + string(rune('0'+minor)) + " certproxy"
}

// logRequest writes the one line of a request. The path is without its query, which
// may hold a token.
func (p *Proxy) logRequest(c *connect, r *http.Request, rec *recorder, x *exchange, began time.Time) {
	fields := []zap.Field{
		zap.String("client", c.client), zap.String("host", c.authority), zap.String("method", r.Method),
		zap.String("path", printable(r.URL.EscapedPath(), 500)), zap.Int("status", rec.status), zap.String("pair", x.pair),
		zap.Int("attempts", x.attempts), zap.Int64("bytes", rec.bytes), zap.Duration("duration", time.Since(began)),
	}
	switch {
	case x.refused != nil:
		p.log.Warn("request refused", append(fields, zap.String("reason", x.refused.text), zap.String("hint", x.refused.hint))...)
	case x.canceled:
		p.log.Info("request canceled by the client", fields...)
	default:
		p.log.Info("request served", fields...)
	}
}

// A recorder notes the status and size of an answer, and gives an upgraded
// connection the bytes that were sent right behind the request: ReverseProxy reads
// the connection itself and would lose them (golang/go#80875).
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	conns  *liveConns // is told of an upgraded connection, which its server forgets
	raised net.Conn
}

// end is for when the handler has returned, and with it the use of the connection.
func (w *recorder) end() {
	if w.raised != nil {
		w.conns.remove(w.raised)
	}
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Hijack implements http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.raised = conn
	w.conns.add(conn)
	if n := rw.Reader.Buffered(); n > 0 {
		early := make([]byte, n)
		_, _ = io.ReadFull(rw.Reader, early) // cannot fail: it is buffered
		conn = &prefixConn{Conn: conn, prefix: early}
	}
	return conn, rw, nil
}
