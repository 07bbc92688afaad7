package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// A verdict is what an attempt's outcome means for the pairs after it.
type verdict int

const (
	accepted verdict = iota // an answer that says nothing against the pair
	notAsked                // an answer on a connection whose server asked for no certificate: it is not about the pair
	rejected                // a TLS alert against the certificate
	dropped                 // a new connection that died before a byte of an answer: a rejection whose alert was lost
	refused                 // a status that servers give for a certificate
	stale                   // a kept connection that died before a byte of an answer
	failed                  // no answer, for a reason no other pair can help
)

// String returns the word that logs use.
func (v verdict) String() string {
	return [...]string{"accepted", "not asked", "rejected", "dropped", "refused", "stale", "failed"}[v]
}

// next reports whether another pair may do better.
func (v verdict) next() bool { return v == rejected || v == dropped || v == refused }

// An outcome is what one attempt came to.
type outcome struct {
	identity *identity
	verdict  verdict
	resp     *http.Response // nil when there was no answer
	err      error          // nil when there was one
	nginx400 bool           // the answer is nginx's 400 about the certificate
}

// String tells the outcome in a few words: "403", "alert 45 (expired certificate)".
func (o *outcome) String() string {
	switch {
	case o.nginx400:
		return "400 (nginx: client certificate)"
	case o.resp != nil:
		return strconv.Itoa(o.resp.StatusCode)
	case o.verdict == dropped:
		return "connection closed (" + cause(o.err) + ")"
	}
	return cause(o.err)
}

// send makes one attempt and judges it.
func (id *identity) send(req *http.Request, body *replay) outcome {
	var conn atomic.Pointer[upstreamConn]
	var reused, answered atomic.Bool
	out := req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			reused.Store(info.Reused)
			if secured, ok := info.Conn.(*tls.Conn); ok {
				if c, ok := secured.NetConn().(*upstreamConn); ok {
					conn.Store(c)
				}
			}
		},
		GotFirstResponseByte: func() { answered.Store(true) },
	}))
	out.Body, out.GetBody = body.reader(), nil
	if out.Body != http.NoBody {
		out.GetBody = func() (io.ReadCloser, error) { return body.reader(), nil }
	}
	out.Close = req.Close || id.retired.Load()
	resp, err := id.transport.RoundTrip(out)
	o := outcome{identity: id, resp: resp, err: err}
	asked := id.pair != nil && conn.Load() != nil && conn.Load().asked
	if err != nil {
		o.verdict = judgeError(err, asked, reused.Load(), answered.Load())
		return o
	}
	o.nginx400 = isNginxCertificateError(resp, req.Method)
	o.verdict = judgeStatus(resp, asked, o.nginx400)
	return o
}

// judgeStatus decides about an answer. Only a server that asked for a certificate
// can mean it: that is the gate.
func judgeStatus(resp *http.Response, asked, nginx400 bool) verdict {
	if !asked {
		return notAsked
	}
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden, code == http.StatusNotFound, code >= 500 && code <= 599, code == 495, code == 496, nginx400:
		return refused
	case code == http.StatusUnauthorized && len(resp.Header.Values("WWW-Authenticate")) == 0:
		return refused // with a challenge it is about a token or a password
	}
	return accepted
}

// judgeError decides about an attempt without an answer.
func judgeError(err error, asked, reused, answered bool) verdict {
	var hs *handshakeError
	code, alert := remoteAlert(err)
	switch {
	case errors.Is(err, context.Canceled):
		return failed
	case errors.Is(err, errKeyUnsupported):
		return rejected
	case errors.As(err, &hs):
		switch {
		case hs.presented && alert && rejectsCertificate(code):
			return rejected // TLS 1.2 says so within the handshake
		case hs.presented && isDrop(hs.err):
			return dropped
		}
		return failed
	case answered || isTimeout(err):
		return failed
	case reused && (alert || isDrop(err)):
		return stale
	case !asked:
		return failed
	case alert && rejectsCertificate(code):
		return rejected // TLS 1.3 says so at the first read
	case isDrop(err):
		return dropped
	}
	return failed
}

// isDrop reports whether an error means that the other side ended the connection.
// net/http gives some of these only as text.
func isDrop(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) {
		return true
	}
	return slices.ContainsFunc([]string{"server closed idle connection", "transport connection broken"}, func(text string) bool {
		return strings.Contains(err.Error(), text)
	})
}

// rank orders the answers of pairs that all failed by how far the pair seems to
// have got; the lowest is returned. A 404 comes from behind the check of the
// certificate, a 400 of nginx from the check itself.
func (o *outcome) rank() int {
	switch code := o.resp.StatusCode; {
	case code == http.StatusNotFound:
		return 0
	case code == 495 || code == 496:
		return 3
	case code >= 500:
		return 1
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return 2
	}
	return 3
}

// mayRepeat reports whether the request may be sent again after this outcome.
func (o *outcome) mayRepeat(req *http.Request, body *replay) bool {
	return body.repeatable() && (o.resp == nil || o.resp.StatusCode < 500 || !body.delivered() || !hasEffects(req))
}

// hasEffects reports whether a server that answered 5xx may have acted on the body
// all the same, so that sending it again could do it twice: POST and PATCH, and the
// PUT that completes a registry upload (OCI distribution specification, end-6).
func hasEffects(req *http.Request) bool {
	switch req.Method {
	case http.MethodPost, http.MethodPatch:
		return true
	case http.MethodPut:
		return strings.Contains(req.URL.Path, "/blobs/uploads/")
	}
	return false
}

func alertParam(code uint8) string { return fmt.Sprintf("; alert-id=%d", code) }
