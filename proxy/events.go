package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/certproxy/certproxy/internal/strength"
)

// What follows is for whoever watches: the functions of [Config] that are told of what
// happens. Each is called on the goroutine of what it tells of, which waits for it, so
// it has to return at once. Nothing told holds a query, a header or a key.

// A Client is who asked.
type Client struct {
	Addr string // address, or "unix socket"; empty where a request was not understood
	UID  uint32 // user on this machine, where HasUID
	// HasUID tells that the kernel named the user.
	HasUID bool
}

// An Ending is what became of a request.
type Ending string

const (
	Served   Ending = "served"   // the host's answer was returned
	Refused  Ending = "refused"  // the answer is our own
	Canceled Ending = "canceled" // the client went away before there was an answer
	Broken   Ending = "broken"   // the answer broke off: the host's end of it, or the client's
)

// A RequestEnd is a request and what became of it: one of the requests of an intercepted
// connection, an absolute URL, one to a forward listener, or a CONNECT that was refused.
type RequestEnd struct {
	Client   Client
	Host     string // canonical name:port; as it was given, and bounded, where it is none; empty where the request was not understood
	Method   string
	Path     string // without its query, and bounded
	Status   int    // of the answer; 0 for none
	Pair     string // whose answer was returned; empty for none
	Attempts int
	BytesIn  int64 // of the request's body
	BytesOut int64 // of the answer's body
	Began    time.Time
	Duration time.Duration
	Ending   Ending

	// Where the answer is our own: the proxy error type of RFC 9209 section 2.3, and why.
	Refusal, Reason, Hint string
}

// A TunnelEnd is a tunnel that was established and has ended.
type TunnelEnd struct {
	Client   Client
	Host     string // canonical name:port
	BytesIn  int64  // from the client
	BytesOut int64  // to the client
	Began    time.Time
	Duration time.Duration
	Broken   string // why it ended, where neither side has said that it was done
}

// A Leg is one of the two connections of a request.
type Leg string

const (
	ToClient Leg = "client"
	ToHost   Leg = "upstream"
)

// A HandshakeEnd is a TLS handshake that has succeeded or failed.
type HandshakeEnd struct {
	Leg      Leg
	Host     string // canonical name:port; empty where a listener itself speaks TLS
	Duration time.Duration
	Outcome  string // one of [HandshakeOutcomes]
}

// HandshakeOutcomes returns what a handshake can come to.
func HandshakeOutcomes() []string {
	return []string{"ok", "untrusted", "alert", "not_tls", "timeout", "canceled", "closed", "failed"}
}

// AttemptVerdicts returns what an attempt can mean.
func AttemptVerdicts() []string {
	out := make([]string, 0, failed+1)
	for v := accepted; v <= failed; v++ {
		out = append(out, v.String())
	}
	return out
}

// handshakeOutcome says what a handshake came to.
func handshakeOutcome(err error) string {
	var unverified *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var short *strength.ShortKeyError
	_, alert := remoteAlert(err)
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &unverified), errors.Is(err, errOwnCA), errors.As(err, &short):
		return "untrusted"
	case alert:
		return "alert"
	case errors.As(err, &notTLS):
		return "not_tls"
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isDrop(err):
		return "closed"
	}
	return "failed"
}

// shookHands tells of a handshake.
func (c *Config) shookHands(leg Leg, host string, began time.Time, err error) {
	if c.HandshakeEnded != nil {
		c.HandshakeEnded(HandshakeEnd{Leg: leg, Host: host, Duration: time.Since(began), Outcome: handshakeOutcome(err)})
	}
}

// asClient is who the visitor is, for whoever watches.
func (v *visit) asClient() Client {
	uid, known := v.visitor.UID()
	return Client{Addr: v.client, UID: uid, HasUID: known}
}

// refusedEarly tells of a request that was refused before it was one of a host's.
func (p *Proxy) refusedEarly(v *visit, method, path string, began time.Time, f *refusal) {
	if p.config.RequestEnded == nil {
		return
	}
	end := RequestEnd{Method: printable(method, 20), Path: path, Status: f.status, Began: began, Duration: time.Since(began),
		Ending: Refused, Refusal: f.kind, Reason: f.text, Hint: f.hint}
	if v != nil {
		end.Client, end.Host = v.asClient(), v.authority
	}
	p.config.RequestEnded(end)
}
