package rig

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ServeTLS runs a server in the tests' own process, for what no real server can be
// told to do. The certificates of conf come from the identities.
func ServeTLS(t testing.TB, id *Identities, conf *tls.Config, handler http.Handler) *Server {
	t.Helper()
	return ServeTLSWith(t, id, conf, handler, nil)
}

// ServeTLSWith is [ServeTLS] of a server that is adjusted before it starts.
func ServeTLSWith(t testing.TB, id *Identities, conf *tls.Config, handler http.Handler, adjust func(*httptest.Server)) *Server {
	t.Helper()
	conf.Certificates = []tls.Certificate{id.Server.TLS()}
	conf.ClientCAs = id.CA.Pool()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = conf
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are the point
	if adjust != nil {
		adjust(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return &Server{Port: server.Listener.Addr().(*net.TCPAddr).Port, Identities: id}
}
