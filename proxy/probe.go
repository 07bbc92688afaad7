package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/certproxy/certproxy/certs"
)

// A ProbeRequest is what [Probe] asks a host for.
type ProbeRequest struct {
	Method  string        // GET or HEAD
	Path    string        // in its encoded form, with its slash and without a query
	Accept  string        // of the answer; empty for anything
	Timeout time.Duration // of each step: the connection, the handshake, the answer
}

// A Probed is what came of asking once with one pair.
type Probed struct {
	Pair    *certs.Pair // nil where no certificate was presented
	Verdict string      // what it means: "accepted", "rejected", "refused", ...
	Outcome string      // what happened: "200", "alert 48 (unknown certificate authority)"
	Err     error       // why there was no answer; nil where there was one
	Alert   int         // the TLS alert in place of an answer (RFC 8446 section 6), or -1
	Refusal *Refusal    // what the proxy would say of it: where another pair cannot help

	Answer *http.Response // nil where there was none; its body is read and closed
	Body   []byte         // how it begins: up to 4 KiB

	Addr      net.Addr                    // connected to: the host's, or that of the proxy of the site; nil for no connection
	TLS       tls.ConnectionState         // as far as the handshake went; the zero Version for not at all
	Requested *tls.CertificateRequestInfo // what the server asked for; nil if it asked for no certificate
	Peer      []*x509.Certificate         // what the server sent, verified or not
}

// A Refusal is what certproxy answers of its own: what failed, and what to do.
type Refusal struct {
	Kind string // a proxy error type of RFC 9209 section 2.3
	Text string
	Hint string
}

// maxProbeBody is how much of an answer's body is shown.
const maxProbeBody = 4 << 10

// Probe asks a host once with each of its pairs, in order, as the proxy of this
// configuration would, but on new connections, without memory, and not ending with the
// first success. Where no other pair could help, because there is no connection or the
// server cannot be trusted, what follows is left out. A host without pairs is asked
// without a certificate; one whose Dir is empty is any other host.
//
// chosen is the index of the outcome that the proxy would answer with, or -1 where it
// would answer 502, listing all. The error is one of the configuration.
func Probe(ctx context.Context, config Config, h *certs.Host, ask ProbeRequest) (list []Probed, chosen int, err error) {
	settings := config.Host
	if settings == nil {
		settings = func(string) HostSettings { return DefaultHostSettings() }
	}
	config.Host = func(authority string) HostSettings {
		s := settings(authority)
		s.ConnectTimeout, s.AttemptTimeout = ask.Timeout, ask.Timeout
		return s
	}
	config.HandshakeTimeout = ask.Timeout
	p, err := New(config)
	if err != nil {
		return nil, -1, err
	}
	upstream := p.upstreams.newUpstream(h, nil)
	defer retire(upstream.identities, nil)
	chosen = -1
	telling, rank := -1, 0 // of the answers that move on
	for i, id := range upstream.identities {
		o, probed := id.probe(ctx, h, ask, p.pseudonym)
		list = append(list, probed)
		switch o.verdict {
		case accepted, notAsked, failed, stale, unexpected:
			if chosen < 0 {
				chosen = i
			}
		case refused:
			if telling < 0 || o.rank() < rank {
				telling, rank = i, o.rank()
			}
		case rejected, dropped:
		}
		if o.verdict == failed && o.resp == nil || ctx.Err() != nil {
			break
		}
	}
	if chosen < 0 {
		chosen = telling
	}
	return list, chosen, nil
}

// probe makes one attempt.
func (id *identity) probe(ctx context.Context, h *certs.Host, ask ProbeRequest, pseudonym string) (outcome, Probed) {
	id.tap = &tap{}
	req := (&http.Request{
		Method: ask.Method, Host: strings.TrimSuffix(h.Name, ":443"),
		URL:   &url.URL{Scheme: "https", Host: h.Name, Opaque: ask.Path},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"certproxy-check"}},
	}).WithContext(ctx)
	if ask.Accept != "" {
		req.Header.Set("Accept", ask.Accept)
	}
	addVia(req.Header, 1, 1, pseudonym)
	var none sync.WaitGroup // of bodies
	o := id.send(req, newReplay(req, nil, 0, ""), plan{fresh: true, patience: ask.Timeout}, &none)
	p := Probed{
		Pair: id.pair, Verdict: o.verdict.String(), Outcome: o.String(), Err: o.err, Alert: -1,
		Addr: id.tap.addr, TLS: id.tap.state, Requested: id.tap.request, Peer: id.tap.state.PeerCertificates,
	}
	if code, ok := remoteAlert(o.err); ok {
		p.Alert = int(code)
	}
	if unverified, ok := errors.AsType[*tls.CertificateVerificationError](o.err); ok {
		p.Peer = unverified.UnverifiedCertificates
	}
	if o.err != nil && o.verdict != rejected && o.verdict != dropped {
		f := upstreamRefusal(h, o.err)
		p.Refusal = &Refusal{Kind: f.kind, Text: f.text, Hint: f.hint}
	}
	if o.resp != nil {
		_ = o.conn.raw.SetReadDeadline(time.Now().Add(ask.Timeout))
		p.Body, _ = io.ReadAll(io.LimitReader(o.resp.Body, maxProbeBody)) // what there is
		_ = o.resp.Body.Close()
		p.Answer = o.resp
	}
	return o, p
}

// A tap notes how an identity's last connection was made. A nil tap notes nothing.
type tap struct {
	addr    net.Addr
	state   tls.ConnectionState
	request *tls.CertificateRequestInfo
}

func (t *tap) requested(cri *tls.CertificateRequestInfo) {
	if t != nil {
		t.request = cri
	}
}

func (t *tap) shook(raw net.Conn, secured *tls.Conn) {
	if t != nil {
		t.addr, t.state = raw.RemoteAddr(), secured.ConnectionState()
	}
}
