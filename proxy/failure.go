package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/strength"
	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// dialRefusal says why a host could not be connected to.
func dialRefusal(authority string, err error) *refusal {
	f := &refusal{status: http.StatusBadGateway, kind: "destination_unavailable",
		text: "cannot connect to " + authority + ": " + cause(err), hint: "look at the network path from this machine to the host"}
	var dns *net.DNSError
	var site *upstreamproxy.Error
	switch {
	case errors.As(err, &site):
		f.kind, f.text, f.hint = "connection_refused", site.Text, site.Hint
		switch {
		case errors.Is(err, errLoop):
			f.status, f.kind = http.StatusLoopDetected, "proxy_loop_detected"
		case isTimeout(err):
			f.status, f.kind = http.StatusGatewayTimeout, "connection_timeout"
		}
	case errors.Is(err, errLoop):
		f.status, f.kind = http.StatusLoopDetected, "proxy_loop_detected"
		f.text = authority + " is this proxy itself"
		f.hint = "connect to another host, or look at /etc/hosts"
	case errors.As(err, &dns) && dns.IsTimeout:
		f.status, f.kind = http.StatusGatewayTimeout, "dns_timeout"
		f.text, f.hint = "the name "+hostName(authority)+" could not be resolved in time", "look at /etc/resolv.conf"
	case errors.As(err, &dns):
		f.kind = "dns_error"
		f.text, f.hint = "the name "+hostName(authority)+" does not resolve", "check its spelling, DNS and /etc/hosts on this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.kind = "connection_refused"
		f.text, f.hint = authority+" refuses connections", "check the port, and that the server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.kind = "destination_ip_unroutable"
	case isTimeout(err):
		f.status, f.kind = http.StatusGatewayTimeout, "connection_timeout"
		f.text = authority + " could not be connected to in time"
		f.hint += "; connect_timeout sets how long to wait"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		f.status, f.kind = http.StatusServiceUnavailable, "proxy_internal_error"
		f.text, f.hint = "no file descriptor is left", "raise LimitNOFILE of the service"
	}
	return f
}

// upstreamRefusal says why a listed host gave no answer.
func upstreamRefusal(h *certs.Host, err error) *refusal {
	var hs *handshakeError
	if !errors.As(err, &hs) {
		var d *dialError
		if errors.As(err, &d) {
			return dialRefusal(h.Name, d.err)
		}
		return answerRefusal(h, err)
	}
	f := &refusal{status: http.StatusBadGateway, kind: "tls_protocol_error",
		text: "TLS with " + h.Name + " failed: " + cause(hs.err), hint: "see what the server says: openssl s_client -connect " + h.Name}
	var unverified *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var short *strength.ShortKeyError
	code, alert := remoteAlert(hs.err)
	switch {
	case errors.As(hs.err, &unverified):
		f.kind = "tls_certificate_error"
		f.text = "the certificate of " + h.Name + " is not trusted: " + verification(unverified.Err)
		f.hint = "put its CA's certificate as a .crt file into " + h.Dir
		if h.Dir == "" {
			f.hint = "install its CA's certificate on this machine"
		}
	case errors.Is(hs.err, errOwnCA):
		f.kind, f.text, f.hint = "tls_certificate_error", h.Name+" "+errOwnCA.Error(), "make the name resolve to the real host"
	case errors.As(hs.err, &short):
		f.kind, f.text = "tls_certificate_error", h.Name+" is not trusted: "+printable(short.Error(), 300)
		f.hint = "have that certificate issued again for a key of P-256, or RSA of 2048 bits or more"
	case errors.As(hs.err, &notTLS):
		f.text, f.hint = h.Name+" does not speak TLS", "check the port"
	case alert:
		f.kind = "tls_alert_received"
		f.params = fmt.Sprintf("; alert-id=%d", code)
	case isTimeout(hs.err):
		f.status, f.kind = http.StatusGatewayTimeout, "connection_timeout"
		f.text = h.Name + " did not finish the TLS handshake in time"
		f.hint = "look at the server's log and load; " + f.hint
	}
	return f
}

// answerRefusal is for connections that stood and then gave no answer.
func answerRefusal(h *certs.Host, err error) *refusal {
	switch {
	case isTimeout(err):
		return &refusal{status: http.StatusGatewayTimeout, kind: "http_response_timeout",
			text: h.Name + " did not answer in time", hint: "look at the server's log; attempt_timeout sets how long to wait"}
	case errors.Is(err, errNoHTTP2):
		return &refusal{status: http.StatusBadGateway, kind: "http_protocol_error",
			text: h.Name + " does not speak HTTP/2, which gRPC needs", hint: "enable HTTP/2 at the server"}
	case isNoRenegotiation(err):
		return &refusal{status: http.StatusBadGateway, kind: "tls_protocol_error",
			text: h.Name + " asks for the certificate in a renegotiation (Apache's SSLVerifyClient inside <Location>)",
			hint: "set renegotiation: true for " + h.Name}
	}
	f := &refusal{status: http.StatusBadGateway, kind: "connection_terminated",
		text: h.Name + " ended the connection without an answer: " + cause(err), hint: "look at the server's log"}
	if code, alert := remoteAlert(err); alert {
		f.kind = "tls_alert_received"
		f.params = fmt.Sprintf("; alert-id=%d", code)
		f.text = h.Name + " refused: " + cause(err)
	}
	return f
}

// cause is the innermost text of an error: the addresses and wrappings around it
// tell nobody anything.
func cause(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "remote error" {
			return "alert " + alertText(op.Err)
		}
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return printable(err.Error(), 200)
}

func alertText(err error) string {
	code, _ := remoteAlert(&net.OpError{Op: "remote error", Err: err})
	return fmt.Sprintf("%d (%s)", code, tls.AlertError(code).Error()[len("tls: "):])
}

func verification(err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return "it has expired or is not valid yet (" + invalid.Detail + ")"
	}
	return printable(err.Error(), 200)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errAttemptTimeout) || errors.Is(err, errStalled) {
		return true
	}
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// exhausted is the answer when no pair got one: each pair and its outcome.
func exhausted(h *certs.Host, tried []outcome) *refusal {
	list := make([]string, len(tried))
	for i, o := range tried {
		list[i] = o.identity.name() + ": " + o.String()
	}
	f := &refusal{status: http.StatusBadGateway, kind: "tls_certificate_error",
		text: h.Name + " accepted no client certificate (" + strings.Join(list, "; ") + ")",
		hint: "put a pair that the server accepts into " + h.Dir}
	if code, ok := remoteAlert(tried[len(tried)-1].err); ok {
		f.kind = "tls_alert_received"
		f.params = alertParam(code)
	}
	return f
}
