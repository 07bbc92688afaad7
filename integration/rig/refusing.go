package rig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// A Refusing server lets the good certificate in and refuses all others, each in
// its own way.
type Refusing struct {
	*Server
	Fickle
	Refused atomic.Int64 // requests and connections
}

// A Refusal is a way to refuse. Start starts the server; what the good certificate
// gets is answered by the handler.
type Refusal struct {
	Name  string
	Start func(t testing.TB, id *Identities, handler http.Handler) *Refusing
}

// Refusals are those that real servers have.
func Refusals() []Refusal {
	return []Refusal{
		{"an alert", refuseByAlert},
		{"a reset", refuseByReset},
		{"a reset after the header", refuseBy(resetConnection)},
		{"403 without reading the body", refuseBy(forbid)},
		{"403 after reading the body", refuseBy(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // what is missing is missing
			forbid(w, r)
		})},
	}
}

// RefusalNamed is one of [Refusals].
func RefusalNamed(t testing.TB, name string) Refusal {
	t.Helper()
	for _, r := range Refusals() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no refusal is named %q", name)
	return Refusal{}
}

func refuseByAlert(t testing.TB, id *Identities, handler http.Handler) *Refusing {
	s := &Refusing{}
	s.Server = ServeTLSWith(t, id, &tls.Config{
		ClientAuth: tls.RequireAnyClientCert,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if string(raw[0]) == string(id.Good.X509.Raw) {
				return nil
			}
			s.Refused.Add(1)
			return errors.New("not good")
		},
	}, handler, s.Adjust)
	return s
}

// refuseByReset resets the connection right after the handshake, as the client sees
// it: crypto/tls looks at the certificate last, and can send no alert any more.
func refuseByReset(t testing.TB, id *Identities, handler http.Handler) *Refusing {
	s := &Refusing{}
	conf := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		forOne := conf.Clone()
		forOne.GetConfigForClient = nil
		forOne.VerifyConnection = func(state tls.ConnectionState) error {
			if state.PeerCertificates[0].Equal(id.Good.X509) {
				return nil
			}
			s.Refused.Add(1)
			reset(hello.Conn)
			return errors.New("not good")
		}
		return forOne, nil
	}
	s.Server = ServeTLSWith(t, id, conf, handler, s.Adjust)
	return s
}

// refuseBy gives requests with another certificate to refuse.
func refuseBy(refuse http.HandlerFunc) func(testing.TB, *Identities, http.Handler) *Refusing {
	return func(t testing.TB, id *Identities, handler http.Handler) *Refusing {
		s := &Refusing{}
		s.Server = ServeTLSWith(t, id, &tls.Config{ClientAuth: tls.RequireAnyClientCert},
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.TLS.PeerCertificates[0].Equal(id.Good.X509) {
					handler.ServeHTTP(w, r)
					return
				}
				s.Refused.Add(1)
				refuse(w, r)
			}), s.Adjust)
		return s
	}
}

func forbid(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }

func resetConnection(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // HTTP/1.1 connections can be hijacked
	}
	reset(c.(*tls.Conn).NetConn())
}

// reset ends a connection so that what the peer sends is answered with a reset.
func reset(c net.Conn) {
	c.(*fickleConn).Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
}
