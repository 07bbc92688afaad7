package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A verdict is what an attempt's outcome means for the pairs after it.
type verdict int

const (
	accepted   verdict = iota // an answer that says nothing against the pair
	notAsked                  // an answer on a connection whose server asked for no certificate: it is not about the pair
	rejected                  // a TLS alert against the certificate
	dropped                   // a new connection that died before a byte of an answer: a rejection whose alert was lost
	refused                   // a status that servers give for a certificate
	stale                     // a kept connection that died before a byte of an answer
	unexpected                // 417: the server does not understand our Expect
	failed                    // no answer, for a reason no other pair can help
)

// String returns the word that logs use.
func (v verdict) String() string {
	return [...]string{"accepted", "not asked", "rejected", "dropped", "refused", "stale", "unexpected", "failed"}[v]
}

// An outcome is what one attempt came to.
type outcome struct {
	identity *identity
	conn     *upstreamConn // over which it went; nil when none was made
	verdict  verdict
	resp     *http.Response // nil when there was no answer, or it was given up
	status   int            // of the answer, zero when there was none
	err      error          // nil when there was an answer

	asked       bool // the server asked for the certificate
	reused      bool // the connection had carried requests before
	began       bool // a byte of an answer came
	delivered   bool // some of the body was sent
	complete    bool // all of the body was sent
	expectation bool // it went with an Expect of ours
	unheard     bool // the server took no notice of it
	nginx400    bool // the answer is nginx's 400 about the certificate

	waited time.Duration // how long the server kept it waiting
	took   time.Duration // from its beginning to the answer's header, or the error
}

// String tells the outcome in a few words: "403", "alert 45 (expired certificate)".
func (o *outcome) String() string {
	switch {
	case o.nginx400:
		return "400 (nginx: client certificate)"
	case o.status != 0:
		return strconv.Itoa(o.status)
	case o.verdict == dropped:
		return "connection closed (" + cause(o.err) + ")"
	}
	return cause(o.err)
}

// judgeAnswer decides about an answer. Only a server that asked for a certificate
// can mean it: that is the gate.
func judgeAnswer(o *outcome, fallback Statuses) verdict {
	code := o.status
	switch {
	case code == http.StatusExpectationFailed && o.expectation && !o.delivered:
		return unexpected
	case !o.asked:
		return notAsked
	case fallback.Has(code) || o.nginx400:
		return refused
	case code == http.StatusUnauthorized && len(o.resp.Header.Values("WWW-Authenticate")) == 0:
		return refused // with a challenge it is about a token or a password
	}
	return accepted
}

// judgeError decides about an attempt without an answer.
func judgeError(o *outcome) verdict {
	err := o.err
	var hs *handshakeError
	code, alert := remoteAlert(err)
	switch {
	case isClientGone(err):
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
	case o.began || isTimeout(err):
		return failed
	case o.reused && (alert || isDrop(err)):
		return stale
	case !o.asked:
		return failed
	case alert && rejectsCertificate(code):
		return rejected // TLS 1.3 says so at the first read
	case isDrop(err) && !o.conn.proven.Load():
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
	// net/http gives this one of HTTP/2 as text only.
	return strings.Contains(err.Error(), "http2: client connection lost")
}

// rank orders the answers of pairs that all failed by how far the pair seems to
// have got; the lowest is returned. A 404 comes from behind the check of the
// certificate, a 400 of nginx from the check itself.
func (o *outcome) rank() int {
	switch code := o.status; {
	case code == http.StatusNotFound:
		return 0
	case code >= 500:
		return 1
	case code == 495 || code == 496 || o.nginx400:
		return 3
	}
	return 2 // 401, 403, and what fallback_statuses adds
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

// giveUp closes an answer that will not be returned.
func (o *outcome) giveUp() {
	if o.resp == nil {
		return
	}
	if body, ok := o.resp.Body.(*answerBody); ok {
		body.drain()
	}
	_ = o.resp.Body.Close()
	o.resp = nil
}
