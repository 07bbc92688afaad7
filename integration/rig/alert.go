package rig

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// Alert is what the server ends a connection with, without certproxy, when the
// client presents this certificate (nil: none). It is "" if the server goes on.
//
// Nothing is sent after the handshake: TLS 1.3 servers refuse after it, and a
// request on its way then often turns the alert into a mere reset.
func (id *Identities) Alert(t testing.TB, port int, present *throwaway.Certificate) string {
	t.Helper()
	conf := &tls.Config{
		ServerName: id.Server.X509.Subject.CommonName,
		RootCAs:    id.CA.Pool(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if present == nil {
				return &tls.Certificate{}, nil
			}
			c := present.TLS()
			return &c, nil
		},
	}
	conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(Patience))
	server := tls.Client(conn, conf)
	if err := server.Handshake(); err != nil {
		return err.Error()
	}
	if server.ConnectionState().Version == tls.VersionTLS12 {
		return "" // 1.2 refuses during the handshake
	}
	// A server that goes on waits for a request.
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = server.Read(make([]byte, 1))
	if nerr, ok := errors.AsType[net.Error](err); ok && nerr.Timeout() || err == nil {
		return ""
	}
	return err.Error()
}
