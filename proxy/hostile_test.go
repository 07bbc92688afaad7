package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"go.uber.org/zap/zaptest/observer"
)

// secretQuery stands in the query of hostile requests; no log line may have it.
const secretQuery = "s3cr3t-query"

// until reads the answer to raw bytes and what is behind it up to the connection's end.
func until(t *testing.T, c net.Conn, br *bufio.Reader, what, bytes string) (*http.Response, string) {
	t.Helper()
	go func() { _, _ = io.WriteString(c, bytes) }() // the end of it may never be read
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Errorf("%s: no answer: %v", what, err)
		return &http.Response{}, ""
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Errorf("%s: the answer breaks off: %v", what, err)
	}
	for name, values := range resp.Header {
		for _, v := range values {
			if name == "Injected" || strings.ContainsFunc(v, unicode.IsControl) {
				t.Errorf("%s: the answer has the field %s: %q", what, name, v)
			}
		}
	}
	if strings.ContainsFunc(resp.Status, unicode.IsControl) || strings.Contains(string(body)+fmt.Sprint(resp.Status, resp.Header), secretQuery) {
		t.Errorf("%s: the answer is %q %v %q", what, resp.Status, resp.Header, body)
	}
	rest, err := io.ReadAll(br)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as the connection gives it
		t.Errorf("%s: the connection stays open", what)
	}
	return resp, string(rest)
}

// cleanLogs checks that nothing a client has sent can make a line or a color of its own
// in a log, and that no query is in it.
func cleanLogs(t *testing.T, logs *observer.ObservedLogs) {
	t.Helper()
	for _, entry := range logs.All() {
		for key, v := range entry.ContextMap() {
			text := fmt.Sprint(v)
			if key == "stack" || !strings.ContainsFunc(text, unicode.IsControl) && !strings.Contains(text, secretQuery) {
				continue
			}
			t.Errorf("the log line %q has %s=%q", entry.Message, key, text)
		}
	}
}

// Whatever CONNECT asks for: it is refused, its connection ends, nothing is dialed, and
// no bytes behind it are taken for a request.
func TestHostileConnectsAreRefusedAndDialNothing(t *testing.T) {
	var dials atomic.Int32
	r := newRig(t, func(c *Config) {
		c.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, net.ErrClosed
		}
	})
	r.list("good.example:443", "a")
	label := strings.Repeat("a", 300)
	for _, test := range []struct {
		target string
		want   int
	}{
		{"user@good.example:443", 400}, {"user:password@good.example:443", 400}, {"@good.example:443", 400},
		{"good.example:443/", 400}, {"good.example/:443", 400}, {"/good.example:443", 400}, {"/", 400}, {"*", 400},
		{"good.example", 400}, {"good.example:", 400}, {":443", 400}, {":", 400},
		{"good.example:0", 400}, {"good.example:65536", 400}, {"good.example:99999999999", 400}, {"good.example:-443", 400},
		{"good.example:+443", 400}, {"good.example:0443", 400}, {"good.example:0x1bb", 400}, {"good.example:https", 400},
		{"good.example:443:443", 400}, {"good.example:44 3", 400}, {"good.example:\uff14\uff14\uff13", 400},
		{"[fe80::1%25eth0]:443", 400}, {"[fe80::1%eth0]:443", 400}, {"[::1", 400}, {"::1:443", 400}, {"[::1]443", 400}, {"[]:443", 400},
		{"[127.0.0.1]:443", 400}, {"[good.example]:443", 400}, {"[v1.a]:443", 400},
		{"good%2eexample:443", 400}, {"%00:443", 400}, {"good.example%0d%0aInjected:443", 400},
		{"good.example\\:443", 400}, {"..\\good.example:443", 400}, {"..:443", 400}, {"../good.example:443", 400}, {"good..example:443", 400},
		{".good.example:443", 400}, {"good.example..:443", 400}, {".:443", 400},
		{"good.example\x00:443", 400}, {"good.example\x00.example:443", 400}, {"good.example\t:443", 400}, {"good.example :443", 400},
		{"good.example:443\x1b[31m", 400}, {"good.example\r:443", 400}, {"good.example\n:443", 400},
		{"https://good.example:443", 400}, {"http://good.example:443/", 400}, {"//good.example:443", 400},
		{"good.example:443?x", 400}, {"good.example:443#x", 400}, {"good.example:443,other.example:443", 400},
		{"good_\u2215example:443", 400}, {"good.example\u2044x:443", 400}, {"go\u00adod.example\u0000:443", 400}, {"\u202egood.example:443", 400},
		{"go\u200dod.example:443", 400}, {"\xff\xfe:443", 400}, {"good.example\u2028:443", 400}, {"\u009b31m:443", 400},
		{label + ":443", 400}, {label + ".example:443", 400}, {strings.Repeat("a.", 200) + "example:443", 400},
		{"<script>:443", 400}, {`"good.example":443`, 400}, {"good.example;:443", 400},
		{"127.1:443", 400}, {"0x7f000001:443", 400}, {"2130706433:443", 400}, {"127.0.0.01:443", 400},
		{strings.Repeat("a", 70<<10) + ":443", 431},
	} {
		c := r.dial()
		resp, rest := until(t, c, bufio.NewReader(c), fmt.Sprintf("CONNECT %.60q", test.target),
			"CONNECT "+test.target+" HTTP/1.1\r\nHost: good.example:443\r\n\r\nCONNECT good.example:443 HTTP/1.1\r\nHost: good.example:443\r\n\r\n")
		if resp.StatusCode != test.want || rest != "" {
			t.Errorf("CONNECT %.60q: %s and %.40q, want %d", test.target, resp.Status, rest, test.want)
		}
		_ = c.Close()
	}
	if n := dials.Load(); n != 0 {
		t.Errorf("%d connections were tried", n)
	}
	cleanLogs(t, r.logs)
	if _, _, resp := r.connect("good.example:443"); resp.StatusCode != http.StatusOK {
		t.Errorf("a good one afterwards: %s", resp.Status)
	}
}

// A client that takes CONNECT for GET may say more than a host.
func TestTheUserAndQueryOfABadConnectAreNeitherLoggedNorAnswered(t *testing.T) {
	r := newRig(t)
	for _, target := range []string{"good.example:443?" + secretQuery, "user:" + secretQuery + "@good.example:443", "https://good.example/?" + secretQuery} {
		c := r.dial()
		resp, _ := until(t, c, bufio.NewReader(c), "CONNECT "+target, "CONNECT "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("CONNECT %s: %s", target, resp.Status)
		}
	}
	cleanLogs(t, r.logs)
}

// What is wrong about the rest of a CONNECT is refused as it is of any request.
func TestAConnectWithABadHeaderIsRefused(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the server") })
	r.list(host, "a")
	for _, test := range []struct {
		fields string
		want   int
	}{
		{"Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400}, {"Host: x\r\nContent-Length: +1", 400},
		{"Host: x\r\nContent-Length: 1\r\nContent-Length: 1", 400}, {"Host: x\r\nTransfer-Encoding: gzip", 501}, {"Host: x\r\nHost: x", 400},
		{"Host: x y", 400}, {"Host: u@x", 400}, {"Host: x\r\n folded", 400}, {"Host: x\nInjected: 1", 400}, {"Host: x\r\nX: \x1b[31m", 400},
		{"Host: x\r\nX\x00: a", 400}, {"Host: x\r\nExpect: x", 417}, {"Host: x\r\nX: " + strings.Repeat("a", 70<<10), 431},
		{"Host: x" + strings.Repeat("\r\nX: a", 3000), 431},
	} {
		c := r.dial()
		resp, rest := until(t, c, bufio.NewReader(c), fmt.Sprintf("%.60q", test.fields), "CONNECT "+host+" HTTP/1.1\r\n"+test.fields+"\r\n\r\n")
		if resp.StatusCode != test.want || rest != "" {
			t.Errorf("%.60q: %s and %.40q, want %d", test.fields, resp.Status, rest, test.want)
		}
		_ = c.Close()
	}
	cleanLogs(t, r.logs)
}

// The target of CONNECT says it all. What else is said, and a body that it cannot have,
// changes neither the host nor where the tunnel's bytes begin.
func TestWhatStandsBesideAConnectDoesNotMatter(t *testing.T) {
	r := newRig(t)
	addr := echo(t)
	for _, fields := range []string{
		"Host: other.example:443", "Host:", "Host: " + addr + "\r\nX-Forwarded-Host: other.example", "Host: x\r\nContent-Length: 5",
		"Host: x\r\nTransfer-Encoding: chunked", "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5", "Host: x\r\nConnection: close",
		"Host: x\r\nUpgrade: h2c\r\nConnection: Upgrade", "X: a",
	} {
		c := r.dial()
		_, _ = io.WriteString(c, "CONNECT "+addr+" HTTP/1.1\r\n"+fields+"\r\n\r\nbytes GET / HTTP/1.1\r\n\r\n")
		_ = c.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(c)
		if want := established + "bytes GET / HTTP/1.1\r\n\r\n"; err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", fields, got, err)
		}
	}
}

// Inside an intercepted connection, a request that could be another one, or another
// host's, is refused, and neither it nor what is behind it reaches the host.
func TestHostileRequestsInsideAConnectReachNobody(t *testing.T) {
	var reached atomic.Int32
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	r.list(host, "a")
	port := host[strings.LastIndex(host, ":"):]
	mine := "Host: " + host + "\r\n"
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: other.example\r\n\r\n"
	for _, test := range []struct {
		what, bytes string
		want        int
	}{
		{"CL and TE", "POST / HTTP/1.1\r\n" + mine + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"TE and CL", "POST / HTTP/1.1\r\n" + mine + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
		{"TE with a space", "POST / HTTP/1.1\r\n" + mine + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"TE that is unknown", "POST / HTTP/1.1\r\n" + mine + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		{"TE in HTTP/1.0", "POST / HTTP/1.0\r\n" + mine + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"two CLs", "POST / HTTP/1.1\r\n" + mine + "Content-Length: 0\r\nContent-Length: 50\r\n\r\n", 400},
		{"CL with a plus", "POST / HTTP/1.1\r\n" + mine + "Content-Length: +0\r\n\r\n", 400},
		{"a bare LF", "GET / HTTP/1.1\r\n" + mine + "X: a\n\r\n", 400},
		{"a folded field", "GET / HTTP/1.1\r\n" + mine + "X: a\r\n b\r\n\r\n", 400},
		{"a NUL", "GET / HTTP/1.1\r\n" + mine + "X: \x00\r\n\r\n", 400},
		{"an escape in the target", "GET /\x1b[31m?" + secretQuery + " HTTP/1.1\r\n" + mine + "\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\n" + mine + mine + "\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two names in Host", "GET / HTTP/1.1\r\nHost: " + host + ", other.example\r\n\r\n", 400},
		{"a user in Host", "GET / HTTP/1.1\r\nHost: u@" + host + "\r\n\r\n", 400},
		{"a header without end", "GET / HTTP/1.1\r\n" + mine + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431},
		{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/0.9", "GET /\r\n\r\n", 400},
		{"another Expect", "POST / HTTP/1.1\r\n" + mine + "Expect: x\r\nContent-Length: 0\r\n\r\n", 417},
		{"CONNECT", "CONNECT " + host + " HTTP/1.1\r\n" + mine + "\r\n", 405},
		{"CONNECT to another host", "CONNECT other.example:443 HTTP/1.1\r\n" + mine + "\r\n", 405},
		{"Host of two names", "GET /?" + secretQuery + " HTTP/1.1\r\nHost: " + host + ",other.example\r\nConnection: close\r\n\r\n", 421},
		{"another Host", "GET /?" + secretQuery + " HTTP/1.1\r\nHost: other.example" + port + "\r\nConnection: close\r\n\r\n", 421},
		{"another port", "GET / HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n", 421},
		{"no port", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421},
		{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 421},
		{"an absolute target", "GET https://" + host + "/?" + secretQuery + " HTTP/1.1\r\n" + mine + "Connection: close\r\n\r\n", 400},
		{"an absolute target of another host", "GET http://other.example/ HTTP/1.1\r\n" + mine + "Connection: close\r\n\r\n", 400},
		{"a scheme alone", "GET file:///etc/passwd HTTP/1.1\r\n" + mine + "Connection: close\r\n\r\n", 400},
		{"h2c", "GET / HTTP/1.1\r\n" + mine + "Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 400},
		{"h2c among others", "GET / HTTP/1.1\r\n" + mine + "Connection: close, Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n", 400},
		{"h2c's settings alone", "GET / HTTP/1.1\r\n" + mine + "Connection: close\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 400},
		{"C1 controls in the target", "GET /\u009b31m\u0085 HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n", 421},
		{"a line end in the target, escaped", "GET /%0d%0aInjected:%201 HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n", 421},
		{"a method of a log line", `{"level":"info"} / HTTP/1.1` + "\r\n" + mine + "\r\n", 400},
	} {
		c, br := r.secure(host, "localhost")
		resp, rest := until(t, c, br, test.what, test.bytes+smuggled)
		if resp.StatusCode != test.want || rest != "" {
			t.Errorf("%s: %s and %.60q, want %d", test.what, resp.Status, rest, test.want)
		}
		if n := reached.Swap(0); n != 0 {
			t.Errorf("%s: %d requests reached the server", test.what, n)
		}
		_ = c.Close()
	}
	cleanLogs(t, r.logs)
	if got, _ := r.get(host, "/"); got != http.StatusOK || reached.Load() != 1 {
		t.Errorf("a good request afterwards: %d", got)
	}
}

// A body that is broken in its framing never becomes a whole request of the host's, and
// the bytes behind it no request at all.
func TestABrokenBodyInsideAConnectNeverLooksWholeToTheHost(t *testing.T) {
	var wholes, requests atomic.Int32
	r := newRig(t)
	host := r.server(func(_ http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		if _, err := io.Copy(io.Discard, req.Body); err == nil {
			wholes.Add(1)
		}
	})
	r.list(host, "a")
	bodies := slices.Repeat([]string{
		"0x1\r\na\r\n0\r\n\r\n", "+1\r\na\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\r\na0\r\n\r\n", "10000000000000000\r\na\r\n0\r\n\r\n",
		"1\r\na\r\n0\n\r\n", "1\r\na\r\n0\r\nX: a\n\n", "1\r\na\r\n0\r\nX: a\nY: b\r\n\r\n", "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
		"1\r\na\r\n0\r\nHost: other.example\r\n\r\n", "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n0\r\nX : a\r\n\r\n",
	}, 5) // what comes of it depends on who is faster
	answers := make([]*bufio.Reader, len(bodies))
	for i, body := range bodies { // all at once: the host is given time to say why
		c, br := r.secure(host, "localhost")
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n"+body+"GET /smuggled HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		answers[i] = br
	}
	for i, br := range answers {
		got, err := io.ReadAll(br)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() || strings.Contains(string(got), " 200 ") { //nolint:errorlint // as the connection gives it
			t.Errorf("%q: %.80q, %v", bodies[i], got, err)
		}
	}
	if n := wholes.Load(); n != 0 {
		t.Errorf("%d of them came to their end at the server", n)
	}
	if n := requests.Load(); int(n) > len(bodies) {
		t.Errorf("the server saw %d requests", n)
	}
	cleanLogs(t, r.logs)
}

// Who broke a body's framing is told so, at once: nobody else can say more about it.
func TestABrokenBodyIsAnsweredAtOnce(t *testing.T) {
	r := newRig(t)
	host := r.server(func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) })
	r.list(host, "a")
	for _, body := range []string{"zz\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\r\na\r\n0\r\nHost: other.example\r\n\r\n"} {
		c, br := r.secure(host, "localhost")
		began := time.Now()
		resp, _ := until(t, c, br, body, "PUT / HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		if took := time.Since(began); resp.StatusCode != http.StatusBadRequest || took > lateAlert/2 {
			t.Errorf("%q: %s after %v", body, resp.Status, took)
		}
		if got := resp.Header.Get("Proxy-Status"); !strings.Contains(got, "http_request_error") {
			t.Errorf("%q: Proxy-Status %q", body, got)
		}
		_ = c.Close()
	}
	cleanLogs(t, r.logs)
}
