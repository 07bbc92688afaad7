package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/certproxy/certproxy/certs"
)

// An identity presents one pair to one host. It has a transport, a connection pool
// and a TLS session cache of its own: net/http pools connections by address, and a
// resumed session carries the certificate it was made with, so sharing either could
// send a request under another pair's name (measured on nginx, HAProxy and Go).
type identity struct {
	key       identityKey
	pair      *certs.Pair // nil presents no certificate
	transport *http.Transport
	dialer    *dialer
	authority string
	handshake time.Duration
	tls       *tls.Config
	retired   atomic.Bool
	asked     atomic.Bool // a full handshake was asked for a certificate
}

func newIdentity(config Config, d *dialer, authority string, key identityKey, pair *certs.Pair, roots *x509.CertPool) *identity {
	id := &identity{key: key, pair: pair, dialer: d, authority: authority, handshake: config.HandshakeTimeout}
	id.tls = &tls.Config{
		ServerName:           hostName(authority),
		RootCAs:              roots,
		MinVersion:           tls.VersionTLS12,
		NextProtos:           []string{"http/1.1"},
		ClientSessionCache:   tls.NewLRUClientSessionCache(16),
		GetClientCertificate: id.certificate,
		VerifyConnection:     refuseOwnCA(config.Leaves),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	id.transport = &http.Transport{
		DialTLSContext:         id.dialTLS,
		Protocols:              protocols,
		DisableCompression:     true, // bodies and their codings are the client's business
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        min(time.Minute, config.IdleTimeout),
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
	return id
}

// name is the pair's, or empty where no certificate is presented.
func (id *identity) name() string { return id.key.name }

// retire closes idle connections now, and those in use as soon as they are idle.
func (id *identity) retire() {
	id.retired.Store(true)
	id.transport.CloseIdleConnections()
}

// An upstreamConn is the TCP connection below a TLS one, with what its handshake
// told about the client certificate.
type upstreamConn struct {
	net.Conn
	asked bool // the server asked for one; written before the handshake ends
}

type upstreamConnKey struct{}

// certificate answers the server's request for a client certificate: always with
// the pair, whatever CAs the server names, for it may accept others (Docker's own
// example, a self-signed certificate, depends on that).
func (id *identity) certificate(cri *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if conn, ok := cri.Context().Value(upstreamConnKey{}).(*upstreamConn); ok {
		conn.asked = true
	}
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

func (id *identity) dialTLS(ctx context.Context, _, _ string) (net.Conn, error) {
	raw, err := id.dialer.connect(ctx, id.authority)
	if err != nil {
		return nil, &dialError{err: err}
	}
	conn := &upstreamConn{Conn: raw}
	secured := tls.Client(conn, id.tls)
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, upstreamConnKey{}, conn), id.handshake)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &handshakeError{err: err, presented: conn.asked && id.pair != nil}
	}
	if conn.asked {
		id.asked.Store(true)
	} else if secured.ConnectionState().DidResume {
		// A resumed session asks no more: it carries the certificate of the one
		// that did, and the session cache is this identity's alone.
		conn.asked = id.asked.Load()
	}
	return secured, nil
}

// refuseOwnCA returns the check that no server is trusted through our own CA.
func refuseOwnCA(leaves Leaves) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		for _, chain := range state.VerifiedChains {
			own := false
			for _, c := range chain[1:] {
				own = own || leaves.Owns(c)
			}
			if !own {
				return nil
			}
		}
		return errOwnCA
	}
}
