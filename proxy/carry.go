package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/certproxy/certproxy/internal/http1"
)

// carry sends a request to its host and the answer back, changing nothing that is
// for either end.
//
// httputil.ReverseProxy would do most of it, for a gateway: it removes forwarding
// fields, rewrites odd queries, guesses a Content-Type, passes interim answers to
// HTTP/1.0 clients, loses what a client sends behind an Upgrade (golang/go#80875),
// ends both halves of an upgraded connection with the first, and flushes each write.
func (p *Proxy) carry(w *recorder, r *http.Request, x *exchange) {
	// Without it, net/http reads on in a body that the host does not want before it
	// lets the host's answer through. HTTP/2 needs it not, and says so.
	_ = http.NewResponseController(w).EnableFullDuplex()
	x.stall = x.look.setUp(x.host.settings.StreamIdleTimeout, w.ResponseWriter, clientNetConn(r.Context()), r.ProtoMajor > 1)
	w.stall = x.stall
	interim := &interimAnswers{w: w, none: !r.ProtoAtLeast(1, 1)}
	a := &attempts{upstream: x.host, client: w.wire, exchange: x, interim: interim.pass, hidesExpect: r.ProtoMajor >= 2,
		send: (*identity).send, told: p.config.Attempted, log: p.log, spoolDir: p.config.ReplayDir, kept: p.kept}
	resp, err := a.roundTrip(outgoingRequest(r, x.host, p.pseudonym))
	interim.end()
	if err != nil {
		p.answerError(w, r, x, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.stall.stop() // a WebSocket may be silent for as long as both its ends are there
		p.switchProtocols(w, r, x, resp)
		return
	}
	x.stall.answers()
	x.stall.answeredBy(resp.Body)
	p.announceAnswer(w.Header(), resp)
	if x.seenAs != "" {
		relocate(w.Header(), x.host.host.Name, x.seenAs)
	}
	w.WriteHeader(resp.StatusCode)
	if err := p.copyAnswer(w, resp); err != nil {
		x.broken = true
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	sendTrailers(w, resp)
}

// outgoingRequest makes the request that goes to the host: the same method, target,
// query and fields. It takes over the incoming one's header.
func outgoingRequest(in *http.Request, to *upstream, pseudonym string) *http.Request {
	out := (&http.Request{
		Method: in.Method, Host: in.Host, ContentLength: in.ContentLength, Body: in.Body, Trailer: in.Trailer.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{
			Scheme: to.scheme, Host: to.host.Name,
			Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery,
		},
		Header: in.Header,
	}).WithContext(in.Context())
	if in.ContentLength == 0 {
		out.Body = nil
	}
	if out.Host == "" { // HTTP/1.0
		out.Host = strings.TrimSuffix(to.host.Name, map[string]string{"https": ":443", "http": ":80"}[to.scheme])
	}
	// The path goes out as it came in: net/url would escape some bytes anew.
	if path, _, _ := strings.Cut(in.RequestURI, "?"); path == "*" || strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		out.URL.Opaque = path
	}
	trailers, protocol := hasToken(in.Header["Te"], "trailers"), upgradeTo(in.Header)
	keepEndToEnd(out.Header)
	if trailers {
		out.Header["Te"] = []string{"trailers"}
	}
	if protocol != "" && in.ProtoAtLeast(1, 1) { // HTTP/1.0 has none
		out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // net/http would add its own
	}
	addVia(out.Header, in.ProtoMajor, in.ProtoMinor, pseudonym)
	return out
}

// answerError answers a request that got no answer. Nobody is there to read one when
// the client has gone.
func (p *Proxy) answerError(w http.ResponseWriter, r *http.Request, x *exchange, err error) {
	var malformed *http1.Malformed // behind the header
	switch {
	case r.Context().Err() == nil && x.stall.ended() != nobody:
		x.refused = stalledRefusal(x.stall, x.host.host.Name)
	case r.Context().Err() == nil && errors.As(err, &malformed):
		x.refused = malformedRefusal(malformed)
	case r.Context().Err() != nil || isClientGone(err):
		x.canceled = true
		panic(http.ErrAbortHandler)
	case !errors.As(err, &x.refused):
		x.refused = upstreamRefusal(x.host.host, err)
	}
	x.refused.serve(w, r)
}

// announceAnswer writes the header of an answer, and which trailers follow it.
func (p *Proxy) announceAnswer(h http.Header, resp *http.Response) {
	endToEnd(h, resp.Header)
	addVia(h, resp.ProtoMajor, resp.ProtoMinor, p.pseudonym)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	if len(resp.Trailer) > 0 {
		keys := make([]string, 0, len(resp.Trailer))
		for k := range resp.Trailer {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		h["Trailer"] = []string{strings.Join(keys, ", ")}
	}
}

// sendTrailers writes the fields behind the body, announced or not.
func sendTrailers(w *recorder, resp *http.Response) {
	if len(resp.Trailer) == 0 {
		return
	}
	_ = w.flush() // a short body would get a Content-Length, and no trailers
	h := w.Header()
	announced := h["Trailer"]
	for k, values := range resp.Trailer {
		if !names(announced, k) {
			k = http.TrailerPrefix + k
		}
		h[k] = values
	}
}

// copyAnswer copies the body. What is there is sent before the next piece is waited
// for: whoever streams slowly has a reader who waits.
func (p *Proxy) copyAnswer(w *recorder, resp *http.Response) (err error) {
	if resp.ContentLength == 0 {
		return nil // nothing must come between the header and the end: gRPC tells a status so
	}
	body, _ := resp.Body.(*answerBody) // nil for HTTP/2, and for a page that was looked at
	if !body.atHand() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	buf := p.upstreams.buffers.Get()
	defer p.upstreams.buffers.Put(buf)
	wide := false
	defer func() {
		if !wide {
			return
		}
		body.readWide(false)
		if sent := w.writeWide(false); err == nil {
			err = sent
		}
	}()
	for {
		if !wide && (resp.ContentLength >= bulk || w.bytes >= bulk) {
			wide = true
			body.readWide(true)
			_ = w.writeWide(true) // only its end sends anything
		}
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !body.atHand():
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
}

// interimAnswers pass 103 and the like on, until the final answer is there. Over
// HTTP/2 they come on another goroutine.
type interimAnswers struct {
	w    http.ResponseWriter
	none bool // the client speaks HTTP/1.0, which knows none

	mu   sync.Mutex
	over bool
}

func (i *interimAnswers) pass(status int, fields http.Header) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.none || i.over {
		return
	}
	h := i.w.Header()
	endToEnd(h, fields)
	i.w.WriteHeader(status)
	clear(h) // they are not the final answer's
}

func (i *interimAnswers) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}
