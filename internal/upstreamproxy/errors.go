package upstreamproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/certproxy/certproxy/internal/strength"
)

// A Kind says what is wrong, in words that never change. It is an error, so that
// errors.Is(err, upstreamproxy.ErrRefused) finds it.
type Kind string

// Error returns the words.
func (k Kind) Error() string { return string(k) }

// What can be wrong with a proxy.
const (
	ErrInvalid     Kind = "the setting of a proxy cannot be used"
	ErrUnreachable Kind = "no connection to the proxy"
	ErrHandshake   Kind = "no TLS with the proxy"
	ErrNoAnswer    Kind = "no answer of the proxy that can be understood"
	ErrRefused     Kind = "the proxy refused"
)

// An Error is about a proxy, not about the destination behind it. It names the proxy
// and the cause once, then what to do. It never carries credentials.
type Error struct {
	Kind    Kind
	Proxy   string // host:port; empty for ErrInvalid
	Setting string // what names the proxy: upstream_proxy, HTTPS_PROXY, https_proxy, ...
	Status  int    // of the proxy's answer, for ErrRefused
	Text    string // what failed
	Hint    string // what to do
	Err     error  // the cause, if it is an error: that of Config.Dial among others
}

// Error returns one line: what failed, and what to do.
func (e *Error) Error() string { return e.Text + "; " + e.Hint }

// Unwrap returns the kind, and the cause if it is an error.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

func invalid(setting, what, hint string) *Error {
	return &Error{Kind: ErrInvalid, Setting: setting, Text: setting + " " + what, Hint: hint}
}

// failed explains why a step towards host failed. A refusal explains itself.
func (p *proxy) failed(step Kind, host string, err error) error {
	if refused, ok := errors.AsType[*Error](err); ok && refused.Kind == ErrRefused {
		return refused
	}
	e := &Error{Kind: step, Proxy: p.addr(), Setting: p.setting, Err: err}
	var (
		unverified *tls.CertificateVerificationError
		notTLS     tls.RecordHeaderError
		short      *strength.ShortKeyError
	)
	switch step {
	case ErrUnreachable:
		e.Text = fmt.Sprintf("upstream proxy %s cannot be reached: %s", p.addr(), cause(err))
		e.Hint = fmt.Sprintf("check that it runs, and that %s is right and does not name certproxy itself", p.setting)
	case ErrHandshake:
		e.Text = fmt.Sprintf("TLS with upstream proxy %s failed: %s", p.addr(), cause(err))
		e.Hint = "look at its log"
		switch {
		case errors.As(err, &unverified):
			e.Hint = fmt.Sprintf("check the name in %s, and that this machine trusts the CA that issued the proxy's certificate", p.setting)
		case errors.As(err, &short):
			e.Hint = "have that certificate issued again for a key of P-256, or RSA of 2048 bits or more"
		case errors.As(err, &notTLS):
			e.Hint = fmt.Sprintf("if it is an http proxy, write http:// in %s", p.setting)
		}
	default:
		e.Text = fmt.Sprintf("upstream proxy %s gave no answer to CONNECT %s: %s", p.addr(), host, cause(err))
		e.Hint = fmt.Sprintf("check that %s names a proxy, http:// or https:// as it wants, and look at its log", p.setting)
		if isTimeout(err) {
			e.Hint = fmt.Sprintf("look at its log and load, and whether it can reach %s", host)
		}
	}
	return e
}

// refused explains an answer that is not a yes.
func (p *proxy) refused(a answer, request string) *Error {
	e := &Error{
		Kind: ErrRefused, Proxy: p.addr(), Setting: p.setting, Status: a.code,
		Text: fmt.Sprintf("upstream proxy %s answered %s to %s", p.addr(), printable(a.status), request),
		Hint: "look at its log",
	}
	if squid := a.header.Get("X-Squid-Error"); squid != "" { // squid answers 503 whether a name or a connection failed
		e.Text += " (" + printable(squid) + ")"
	}
	switch a.code {
	case http.StatusProxyAuthRequired, http.StatusUnauthorized: // the latter is tinyproxy's for wrong ones
		e.Hint = p.credentialsHint(a.header.Values("Proxy-Authenticate"))
	case http.StatusForbidden:
		e.Hint = "it does not allow this destination or port; if that can be reached without it, name it in NO_PROXY"
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		e.Hint = fmt.Sprintf("check that %s names a proxy, and http:// or https:// as it wants", p.setting)
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // 500 is tinyproxy's
		e.Hint = "it could not reach the destination: check the name and the port, and look at its log"
	}
	return e
}

// credentialsHint says what to do about 407, given the proxy's challenges.
func (p *proxy) credentialsHint(challenges []string) string {
	var schemes []string
	basic := len(challenges) == 0
	for _, c := range challenges {
		scheme, _, _ := strings.Cut(c, " ")
		basic = basic || strings.EqualFold(scheme, "basic")
		schemes = append(schemes, printable(scheme))
	}
	switch {
	case !basic:
		return "it wants credentials by " + strings.Join(schemes, " or ") + ", and certproxy has no others than Basic"
	case p.url.User == nil:
		return fmt.Sprintf("put credentials into the URL in %s: %s://USER:PASSWORD@%s", p.setting, p.url.Scheme, p.addr())
	}
	return fmt.Sprintf("correct the credentials in the URL in %s; special characters are written in percent-encoding", p.setting)
}

// cause is the innermost text of an error: the addresses around it are named already.
func cause(err error) string {
	switch {
	case isTimeout(err):
		return "timed out"
	case errors.Is(err, io.EOF):
		return "it closed the connection"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op != "remote error" {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return printable(err.Error())
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// printable makes what others sent fit for a line of text.
func printable(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}
