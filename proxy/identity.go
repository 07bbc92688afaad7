package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/strength"
)

// An identity presents one pair to one host. It has connections and a TLS session
// cache of its own: a resumed session carries the certificate it was made with, so
// sharing either could send a request under another pair's name (measured on nginx,
// HAProxy and Go).
type identity struct {
	key       identityKey
	pair      *certs.Pair // nil presents no certificate
	authority string
	dialer    *dialer
	handshake time.Duration // bound of a TLS handshake
	tls       *tls.Config
	idle      pool       // HTTP/1.1
	http2     http2Conns // for what needs HTTP/2
	retired   atomic.Bool
	plain     bool        // without TLS: a host without a directory, by http
	forOthers bool        // for users other than ourselves: a host without a directory
	asked     atomic.Bool // a full handshake was asked for a certificate
	config    *Config     // whose watcher is told of handshakes
	tap       *tap        // notes how connections are made; nil but for a probe
}

func newIdentity(config *Config, d *dialer, authority string, key identityKey, pair *certs.Pair, roots *x509.CertPool) *identity {
	id := &identity{key: key, pair: pair, dialer: d, authority: authority, handshake: config.HandshakeTimeout, config: config}
	id.tls = &tls.Config{
		ServerName:         hostName(authority),
		RootCAs:            roots,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(16),
		VerifyConnection:   refuseChains(config.Leaves),

		DynamicRecordSizingDisabled: true, // a body goes in full records from its first byte
	}
	if id.key.settings.Renegotiation {
		// TLS 1.3 has none, and crypto/tls does not know what took its place. A
		// resumed session would not show whether the server asked.
		id.tls.MaxVersion, id.tls.Renegotiation, id.tls.ClientSessionCache = tls.VersionTLS12, tls.RenegotiateOnceAsClient, nil
	}
	id.idle.timeout, id.idle.most = min(time.Minute, config.IdleTimeout), maxIdle
	id.http2.setUp(id, config.IdleTimeout)
	return id
}

// name is the pair's, or empty where no certificate is presented.
func (id *identity) name() string { return id.key.name }

// retire closes idle connections now, and those in use as soon as they are idle.
func (id *identity) retire() {
	id.retired.Store(true)
	id.idle.close()
	id.http2.retire()
}

// certificate answers the server's request for a client certificate: always with
// the pair, whatever CAs the server names, for it may accept others (Docker's own
// example, a self-signed certificate, depends on that).
func (id *identity) certificate(cri *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	id.tap.requested(cri)
	if id.pair == nil {
		return &tls.Certificate{}, nil
	}
	anyCA := *cri
	anyCA.AcceptableCAs = nil
	if err := anyCA.SupportsCertificate(id.pair.TLS()); err != nil {
		return nil, errKeyUnsupported
	}
	return id.pair.TLS(), nil
}

var (
	// errKeyUnsupported means that the server accepts no signature of the pair's key.
	errKeyUnsupported = errors.New("the server supports no signature algorithm of the pair's key")
	// errOwnCA means that a server showed a certificate that this proxy's own CA
	// has signed: trusting the system's roots must not mean trusting ourselves.
	errOwnCA = errors.New("shows a certificate of certproxy's own CA, so the connection led back to a certproxy")
)

// A dialError is a connection that was not made, a handshakeError one whose TLS
// handshake failed.
type (
	dialError      struct{ err error }
	handshakeError struct {
		err       error
		presented bool // the pair, before it failed
	}
)

func (e *dialError) Error() string      { return "dial: " + e.err.Error() }
func (e *dialError) Unwrap() error      { return e.err }
func (e *handshakeError) Error() string { return "handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// connect makes a connection and its TLS handshake, for HTTP/1.1 or what protocol
// names instead.
func (id *identity) connect(ctx context.Context, protocol ...string) (*upstreamConn, error) {
	if id.forOthers {
		ctx = forOthers(ctx)
	}
	if id.plain {
		raw, forwarding, err := id.dialer.forward(ctx, id.authority, id.key.settings.ConnectTimeout)
		if err != nil {
			return nil, &dialError{err: err}
		}
		return newPlainConn(id, raw, forwarding), nil
	}
	raw, err := id.dialer.connect(ctx, id.authority, id.key.settings.ConnectTimeout)
	if err != nil {
		return nil, &dialError{err: err}
	}
	conn, secured := newUpstreamConn(id, raw, protocol...)
	ctx, cancel := context.WithTimeout(ctx, id.handshake)
	defer cancel()
	began := time.Now()
	err = secured.HandshakeContext(ctx)
	id.config.shookHands(ToHost, id.authority, began, err)
	id.tap.shook(raw, secured)
	if err != nil {
		conn.kill()
		return nil, &handshakeError{err: err, presented: conn.asked.Load() && id.pair != nil}
	}
	if conn.asked.Load() {
		id.asked.Store(true)
	} else if secured.ConnectionState().DidResume {
		// A resumed session asks no more: it carries the certificate of the one
		// that did, and the session cache is this identity's alone.
		conn.asked.Store(id.asked.Load())
	}
	return conn, nil
}

// refuseChains returns the check that a server is trusted neither through our own CA
// nor by a key that can be broken.
func refuseChains(leaves Leaves) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		why := errOwnCA
		for _, chain := range state.VerifiedChains {
			own := false
			for _, c := range chain[1:] {
				own = own || leaves.Owns(c)
			}
			if own {
				continue
			}
			if why = strength.Chain(chain); why == nil {
				return nil
			}
		}
		return why
	}
}
