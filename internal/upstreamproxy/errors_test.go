package upstreamproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

func TestARefusalSaysWhatToDo(t *testing.T) {
	const user, none = "user:s3cret@", ""
	for _, c := range []struct {
		name, user, answer string
		status             int
		text, hint         string
	}{
		{"forbidden", none, "HTTP/1.1 403 Forbidden\r\nContent-Length: 3000\r\n\r\n<html>", 403,
			"answered 403 Forbidden to CONNECT registry.example:443", "it does not allow this destination or port"},
		{"no credentials", none, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", 407,
			"answered 407 Proxy Authentication Required to", "put credentials into the URL in upstream_proxy: http://USER:PASSWORD@127.0.0.1:"},
		{"no challenge", none, "HTTP/1.1 407 No\r\n\r\n", 407, "answered 407 No", "put credentials into the URL in upstream_proxy"},
		{"wrong credentials", user, "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: basic\r\n\r\n", 407,
			"answered 407 No", "correct the credentials in the URL in upstream_proxy"},
		{"other credentials", user, "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n", 407,
			"answered 407 No", "it wants credentials by Negotiate or NTLM, and certproxy has no others than Basic"},
		{"wrong credentials, as tinyproxy", user, "HTTP/1.0 401 Unauthorized\r\n\r\n", 401, "answered 401 Unauthorized", "correct the credentials in the URL in upstream_proxy"},
		{"tinyproxy cannot connect", none, "HTTP/1.0 500 Unable to connect\r\n\r\n", 500, "answered 500 Unable to connect", "it could not reach the destination"},
		{"squid cannot resolve", none, "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", 503,
			"answered 503 Service Unavailable to CONNECT registry.example:443 (ERR_DNS_FAIL 0)", "it could not reach the destination"},
		{"a web server", none, "HTTP/1.1 405 Method Not Allowed\r\n\r\n", 405, "answered 405 Method Not Allowed", "check that upstream_proxy names a proxy"},
		{"a redirect", none, "HTTP/1.1 302 Found\r\nLocation: https://portal.example/\r\n\r\n", 302, "answered 302 Found", "look at its log"},
		{"another protocol", none, "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "answered 101", "look at its log"},
		{"a status beyond all", none, "HTTP/1.1 999 Denied\r\n\r\n", 999, "answered 999 Denied", "look at its log"},
		{"after 1xx", none, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n", 403, "answered 403", "it does not allow"},
		{"a reason with an escape", none, "HTTP/1.1 403 \x1b[31mred\x00\xff\r\n\r\n", 403, "answered 403 ?[31mred??", "it does not allow"},
		{"a reason without end", none, "HTTP/1.1 502 " + strings.Repeat("x", 10000) + "\r\n\r\n", 502, "xxx... to CONNECT", "it could not reach"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy, addr := answering(t, c.answer)
			_, err := through(t, "http://"+c.user+addr).DialContext(soon(t), "tcp", "registry.example:443")
			e := fails(t, err, ErrRefused, addr)
			if e.Status != c.status || !strings.Contains(e.Text, c.text) || !strings.HasPrefix(e.Hint, c.hint) {
				t.Errorf("%d %s\nwant %d, %q; %q", e.Status, err, c.status, c.text, c.hint)
			}
			proxy.closed(t)
		})
	}
}

func TestAnAnswerThatIsNoneIsNotATunnel(t *testing.T) {
	for _, c := range []struct{ name, answer, text string }{
		{"nothing", "", "it closed the connection"},
		{"a part of the status line", "HTTP/1.1 2", "it closed the connection"},
		{"no empty line", "HTTP/1.1 200 OK\r\nVia: 1.1 squid\r\n", "it closed the connection"},
		{"only 1xx", "HTTP/1.1 100 Continue\r\n\r\n", "it closed the connection"},
		{"a TLS alert", "\x15\x03\x01\x00\x02\x02\x46", "the answer is not HTTP"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"},
		{"an empty line", "\r\n\r\n", "the answer is not HTTP"},
		{"no status", "HTTP/1.1\r\n\r\n", "the answer is not HTTP"},
		{"a word for status", "HTTP/1.1 OK\r\n\r\n", "the answer is not HTTP"},
		{"a long status", "HTTP/1.1 2000 OK\r\n\r\n", "the answer is not HTTP"},
		{"a signed status", "HTTP/1.1 +20 OK\r\n\r\n", "the answer is not HTTP"},
		{"a version that is none", "HTTP/one 200 OK\r\n\r\n", "the answer is not HTTP"},
		{"a field that is none", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "the answer is not HTTP"},
		{"a header without end", "HTTP/1.1 200 OK\r\nX-Filler: " + strings.Repeat("x", 1<<20), "larger than 64 KiB"},
		{"a header of too many lines", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 64<<10) + "\r\n", "larger than 64 KiB"},
		{"1xx without end", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 64<<10), "larger than 64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := serve(t, func(conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, c.answer)
				}
			})
			_, err := through(t, "http://user:s3cret@"+addr).DialContext(soon(t), "tcp", "registry.example:443")
			if e := fails(t, err, ErrNoAnswer, addr); !strings.Contains(e.Text, c.text) {
				t.Errorf("%s\nwant %q", err, c.text)
			}
		})
	}
}

func TestAnUnreachableProxyIsSaidToBeThat(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = through(t, "http://user:s3cret@"+addr).DialContext(soon(t), "tcp", "registry.example:443")
	e := fails(t, err, ErrUnreachable, addr)
	if want := "upstream proxy " + addr + " cannot be reached: connection refused; check that it runs, and that upstream_proxy is right"; !strings.HasPrefix(e.Error(), want) {
		t.Errorf("%s\nwant %s", e, want)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("the cause is not in it")
	}
}

// HTTPS_PROXY in certproxy's environment may be certproxy: it is for its clients. Dial
// knows, and its error comes out.
func TestALoopNamesTheSettingThatMakesIt(t *testing.T) {
	errLoop := errors.New("the destination is this proxy itself")
	for name, config := range map[string]Config{
		"HTTPS_PROXY":    {Getenv: env("HTTPS_PROXY=http://127.0.0.1:3128")},
		"upstream_proxy": {URL: "http://127.0.0.1:3128"},
	} {
		config.Dial = func(_ context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "127.0.0.1:3128" {
				t.Errorf("dialed %s %s; want the proxy", network, addr)
			}
			return nil, &net.OpError{Op: "dial", Net: network, Err: errLoop} // as net.Dialer returns what Control does
		}
		_, err := newDialer(t, config).DialContext(soon(t), "tcp", "registry.example:443")
		e := fails(t, err, ErrUnreachable, "127.0.0.1:3128")
		if !errors.Is(err, errLoop) {
			t.Errorf("errLoop is not in %v", err)
		}
		for _, want := range []string{errLoop.Error(), name, "certproxy itself"} {
			if !strings.Contains(e.Error(), want) {
				t.Errorf("%s\nwant %q in it", e, want)
			}
		}
	}
}

// fails checks what holds for every error about a proxy: its type, that it names the
// proxy once, and that it has no credentials, in any notation.
func fails(t *testing.T, err error, kind Kind, addr string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || e.Kind != kind {
		t.Fatalf("%v; want an error of kind %q", err, kind)
	}
	if e.Proxy != addr || strings.Count(e.Text, addr) != 1 {
		t.Errorf("%q is about %q; want %s named once", e.Text, e.Proxy, addr)
	}
	for _, secret := range []string{"s3cret", "czNjcmV0", "dXNlcj"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s\nshows %q", err, secret)
		}
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%q is not a line of text", err)
	}
	return e
}
