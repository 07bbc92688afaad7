package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/http1"
)

// A refusal is an answer of our own: what failed and what to do.
type refusal struct {
	status int
	kind   string      // a proxy error type of RFC 9209 section 2.3
	params string      // further parameters of Proxy-Status, each beginning with "; "
	text   string      // what failed; never holds a query, a header or a key
	hint   string      // what to do
	close  bool        // end the connection after the answer
	fields http.Header // further ones of the answer
}

func internalRefusal() *refusal {
	return &refusal{status: http.StatusInternalServerError, kind: "proxy_internal_error",
		text: "the request came in on a way that should not exist", hint: "report it with the log"}
}

func malformedRefusal(why *http1.Malformed) *refusal {
	return &refusal{status: why.Status, kind: "http_request_error", text: "the request was not understood: " + why.Reason, hint: why.Hint, close: true}
}

func (f *refusal) Error() string { return f.text }

// proxyStatus is the field of RFC 9209, as a structured field (RFC 9651).
func (f *refusal) proxyStatus() string {
	return "certproxy; error=" + f.kind + f.params + "; details=" + sfString(f.text)
}

// sfString is a string of a structured field: printable ASCII in quotes.
func sfString(s string) string {
	s = strings.ReplaceAll(printable(s, 400), `\`, `\\`)
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}

// printable makes text fit for a header or a status line: printable ASCII, bounded.
func printable(s string, most int) string {
	if len(s) <= most && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if b.Len() >= most {
			b.WriteString("...")
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// body is the text for people, or for clients that ask for JSON the form of the
// distribution specification's errors, which registry clients print.
func (f *refusal) body(accept string) (contentType string, body []byte) {
	if strings.Contains(accept, "json") {
		type entry struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Detail  string `json:"detail,omitempty"`
		}
		body, _ = json.Marshal(map[string][]entry{"errors": {{ // strings always marshal
			Code: "CERTPROXY_" + strings.ToUpper(f.kind), Message: f.text + "; " + f.hint, Detail: f.hint,
		}}})
		return "application/json", append(body, '\n')
	}
	return "text/plain; charset=utf-8", []byte("certproxy: " + f.text + "\nhint: " + f.hint + "\n")
}

func (f *refusal) header(h http.Header, accept string) []byte {
	contentType, body := f.body(accept)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Proxy-Status", f.proxyStatus())
	maps.Copy(h, f.fields)
	if f.close {
		h.Set("Connection", "close")
	}
	return body
}

// serve answers a request.
func (f *refusal) serve(w http.ResponseWriter, r *http.Request) {
	body := f.header(w.Header(), r.Header.Get("Accept"))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// response answers a CONNECT. Its status line carries the reason.
func (f *refusal) response(r *http.Request) *http.Response {
	resp := &http.Response{
		Status:     fmt.Sprintf("%d certproxy: %s", f.status, printable(f.text+"; "+f.hint, 400)),
		StatusCode: f.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Request: r, Close: true,
	}
	body := f.header(resp.Header, r.Header.Get("Accept"))
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

func (f *refusal) writeTo(w io.Writer, r *http.Request) error { return f.response(r).Write(w) }

// hostName is a canonical authority without its port and brackets.
func hostName(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return authority
	}
	return host
}

// unlistedRefusal answers for a host without a directory, where only listed ones are
// served.
func unlistedRefusal(authority string) *refusal {
	return &refusal{status: http.StatusForbidden, kind: "http_request_denied",
		text: authority + " has no directory under certs.d, and this proxy serves listed hosts only",
		hint: "make one for it, or say unlisted: tunnel in the configuration, or start certproxy with --unlisted tunnel"}
}

func unusableRefusal(h *certs.Host) *refusal {
	f := &refusal{status: http.StatusBadGateway, kind: "proxy_configuration_error",
		text: "no client certificate for " + h.Name + " can be used: " + h.Reason(),
		hint: "certproxy list shows every problem and its cure"}
	for _, p := range h.Problems {
		if !p.Used && p.Hint != "" {
			f.hint = p.Hint
			break
		}
	}
	return f
}

func leafRefusal(authority string, err error) *refusal {
	return &refusal{status: http.StatusBadGateway, kind: "proxy_configuration_error",
		text: "no server certificate for " + authority + " can be made: " + err.Error(),
		hint: "certproxy ca show tells what the local CA may sign"}
}
