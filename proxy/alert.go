package proxy

import (
	"errors"
	"net"
	"reflect"
)

// remoteAlert returns the code of the TLS alert (RFC 8446 section 6) that the other
// side sent, if that is what the error is.
//
// crypto/tls reports a remote alert as a *net.OpError around an unexported type,
// which errors.As does not match with tls.AlertError (measured with Go 1.26.8).
func remoteAlert(err error) (code uint8, ok bool) { return alertOf(err, "remote error") }

// isNoRenegotiation reports whether a connection ended because the server asked for
// a renegotiation: crypto/tls then sends no_renegotiation.
func isNoRenegotiation(err error) bool {
	code, ok := alertOf(err, "local error")
	return ok && code == 100
}

func alertOf(err error, side string) (code uint8, ok bool) {
	op, found := errors.AsType[*net.OpError](err)
	if !found || op.Op != side || op.Err == nil {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return uint8(v.Uint()), true //nolint:gosec // its kind is Uint8
	}
	return 0, false
}

// rejectsCertificate reports whether an alert is how servers refuse a client
// certificate: 40 handshake_failure, 42 to 49 about certificates and access,
// 51 decrypt_error, 80 internal_error (Apache, for a chain longer than its depth),
// 116 certificate_required.
func rejectsCertificate(code uint8) bool {
	return code == 40 || code >= 42 && code <= 49 || code == 51 || code == 80 || code == 116
}
