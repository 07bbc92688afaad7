package http1

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A hostile input is bytes that some reader could take for something else. Behind each
// stands a request that must not be served.
type hostile struct {
	what, bytes string
	status      int    // of the last answer, behind which the connection ends
	served      string // what the handler was called with before, see told
}

// line is a request with another first line.
func line(first string) string { return first + "\r\nHost: x\r\n\r\n" }

// sized is a request whose header has so many bytes.
func sized(size int) string {
	return head("X: " + strings.Repeat("a", size-len(head("X: "))))
}

// many is a request with so many fields.
func many(fields int) string {
	return head(slices.Repeat([]string{"X: a"}, fields-1)...)
}

var lines = []hostile{
	{"a bare LF behind the first line", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400, ""},
	{"a bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\nX: a\r\n\r\n", 400, ""},
	{"a bare LF for the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\n", 400, ""},
	{"bare LFs alone", "GET / HTTP/1.1\nHost: x\n\n", 400, ""},
	{"a bare LF in front", "\n" + get, 400, ""},
	{"a bare CR in front", "\r" + get, 400, ""},
	{"a bare CR in the first line", line("GET / \rHTTP/1.1"), 400, ""},
	{"a bare CR behind the version", "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", 400, ""},
	{"a bare CR for a line's end", "GET / HTTP/1.1\rHost: x\r\n\r\n", 400, ""},
	{"a bare CR in a value", head("X: a\rb"), 400, ""},
	{"a bare CR at a value's end", head("X: a\r"), 400, ""},
	{"a bare CR in a name", head("X\r: a"), 400, ""},
	{"an empty line with a CR too many", "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n\r\n", 400, ""},
	{"a folded field", head("X: a", " b"), 400, ""},
	{"a folded field with a tab", head("X: a", "\tb"), 400, ""},
	{"a folded field of nothing", head("X: a", " "), 400, ""},
	{"a first field that begins with a space", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, ""},
	{"a NUL in a name", head("X\x00: a"), 400, ""},
	{"a NUL in a value", head("X: \x00"), 400, ""},
	{"a NUL in the target", line("GET /\x00 HTTP/1.1"), 400, ""},
	{"a NUL in the method", line("G\x00T / HTTP/1.1"), 400, ""},
	{"a bell in a value", head("X: \a"), 400, ""},
	{"an escape in a value", head("X: \x1b[2J"), 400, ""},
	{"a DEL in a value", head("X: \x7f"), 400, ""},
	{"a DEL in the target", line("GET /\x7f HTTP/1.1"), 400, ""},
	{"a tab in the target", line("GET /\t HTTP/1.1"), 400, ""},
	{"an escape in the target", line("GET /\x1b[2J HTTP/1.1"), 400, ""},
	{"a space in a name", head("X Y: a"), 400, ""},
	{"a space before a colon", head("X : a"), 400, ""},
	{"an empty name", head(": a"), 400, ""},
	{"a line without a colon", head("X"), 400, ""},
	{"a name in brackets", head("(X): a"), 400, ""},
	{"a name with a slash", head("X/Y: a"), 400, ""},
	{"a name beyond ASCII", head("X\xe9: a"), 400, ""},
	{"a name in quotes", head(`"X": a`), 400, ""},

	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, ""},
	{"no Host and an absolute target", "GET http://x/ HTTP/1.1\r\n\r\n", 400, ""},
	{"two Hosts", head("Host: x"), 400, ""},
	{"two Hosts, different", head("hOST: y"), 400, ""},
	{"two Hosts, in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400, ""},
	{"two Hosts, of CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, ""},
	{"two names in Host", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400, ""},
	{"a user in Host", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400, ""},
	{"a space in Host", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400, ""},
	{"a path in Host", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400, ""},
	{"a backslash in Host", "GET / HTTP/1.1\r\nHost: x\\y\r\n\r\n", 400, ""},
	{"a query in Host", "GET / HTTP/1.1\r\nHost: x?y\r\n\r\n", 400, ""},
	{"a fragment in Host", "GET / HTTP/1.1\r\nHost: x#y\r\n\r\n", 400, ""},
	{"markup in Host", "GET / HTTP/1.1\r\nHost: <x>\r\n\r\n", 400, ""},
	{"letters beyond ASCII in Host", "GET / HTTP/1.1\r\nHost: \u0445\r\n\r\n", 400, ""},
	{"no Host at all beside an absolute target", "GET http://x/ HTTP/1.1\r\nHost: u@y\r\n\r\n", 400, ""},
	{"no Host at all beside CONNECT's", "CONNECT x:443 HTTP/1.1\r\nHost: x y\r\n\r\n", 400, ""},
	{"a Host of CONNECT's target", "CONNECT <x>:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},

	{"one byte too many", sized(64<<10 + 1), 431, ""},
	{"a target that is too large", line("GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1"), 431, ""},
	{"a name that is too large", head(strings.Repeat("a", 64<<10) + ": a"), 431, ""},
	{"a method that is too large", line(strings.Repeat("A", 64<<10) + " / HTTP/1.1"), 431, ""},
	{"a mebibyte without a line end", strings.Repeat("A", 1<<20), 431, ""},
	{"one field too many", many(maxFields + 1), 431, ""},
	{"one empty line too many", strings.Repeat("\r\n", maxEmpty+1) + get, 400, ""},
	{"thousands of empty lines", strings.Repeat("\r\n", 5000) + get, 400, ""},

	{"no target", line("GET  HTTP/1.1"), 400, ""},
	{"no version", line("GET /"), 400, ""},
	{"HTTP/0.9", "GET /\r\n\r\n", 400, ""},
	{"HTTP/0.9 by its number", line("GET / HTTP/0.9"), 505, ""},
	{"HTTP/1.2", line("GET / HTTP/1.2"), 505, ""},
	{"HTTP/2.0", line("GET / HTTP/2.0"), 505, ""},
	{"HTTP/2", line("GET / HTTP/2"), 400, ""},
	{"HTTP/1.10", line("GET / HTTP/1.10"), 400, ""},
	{"HTTP/01.1", line("GET / HTTP/01.1"), 400, ""},
	{"HTTP/+1.1", line("GET / HTTP/+1.1"), 400, ""},
	{"HTTP/1,1", line("GET / HTTP/1,1"), 400, ""},
	{"http/1.1", line("GET / http/1.1"), 400, ""},
	{"HTTPS/1.1", line("GET / HTTPS/1.1"), 400, ""},
	{"ICY", line("GET / ICY"), 400, ""},
	{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""},
	{"two spaces before the target", line("GET  / HTTP/1.1"), 400, ""},
	{"two spaces behind the target", line("GET /  HTTP/1.1"), 400, ""},
	{"a space in the target", line("GET /a b HTTP/1.1"), 400, ""},
	{"a space behind the version", line("GET / HTTP/1.1 "), 400, ""},
	{"a tab for a space", line("GET\t/ HTTP/1.1"), 400, ""},
	{"a space in front", " " + get, 400, ""},
	{"a method in brackets", line("(GET) / HTTP/1.1"), 400, ""},
	{"a method with a colon", line("GET: / HTTP/1.1"), 400, ""},
	{"a method with a slash", line("G/T / HTTP/1.1"), 400, ""},
	{"a method beyond ASCII", line("G\xc9T / HTTP/1.1"), 400, ""},
	{"a target with a bad escape", line("GET /%zz HTTP/1.1"), 400, ""},
	{"a target that is a word", line("GET x HTTP/1.1"), 400, ""},
	{"a target with a bad port", line("GET http://x:y/ HTTP/1.1"), 400, ""},
	{"a target without an end to its address", line("GET http://[::1/ HTTP/1.1"), 400, ""},
	{"a target with a space in its host", line("GET http://x%20y/ HTTP/1.1"), 400, ""},
	{"TLS", "\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03", 400, ""},
	{"TLS of SSL 2", "\x80\x2e\x01\x03\x01\x00\x15", 400, ""},
	{"garbage", "\xff\xfe\x00\x01\x02\r\n\r\n", 400, ""},
	{"an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400, ""},
	{"SOCKS 5", "\x05\x01\x00", 400, ""},
	{"SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n", 400, ""},
	{"a log line", line("GET /\r\n{\"level\":\"info\"} HTTP/1.1"), 400, ""},
	{"PROXY's header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get, 400, ""},

	{"another Expect", head("Expect: 200-ok"), 417, ""},
	{"an Expect of more", head("Expect: 100-continue, x"), 417, ""},
	{"an Expect of nothing", head("Expect:"), 417, ""},
	{"two Expects", head("Expect: 100-continue", "Expect: 100-continue"), 417, ""},

	{"a bad request behind a good one", head("Content-Length: 2") + "ok" + head("Content-Length: +1"), 400, "POST /1 ok"},
	{"a bad request behind chunks", chunkedBody("2\r\nok\r\n0\r\n\r\n") + "X" + head(": a"), 400, "POST /1 ok"},
	{"a body without a length", head("X: a") + "body\r\n\r\n", 400, "POST /1 "},
	{"a body of a GET without a length", get + "\x00\r\n\r\n", 400, "GET / "},
}

// A notebook is a handler that reads bodies and notes what it was called with.
type notebook struct {
	mu   sync.Mutex
	seen []string
}

func (n *notebook) handle(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		b = []byte("!")
		w.WriteHeader(http.StatusBadRequest)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, fmt.Sprintf("%s %s %s", req.Method, req.RequestURI, b))
}

// told returns what was noted since the last call.
func (n *notebook) told() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.seen = nil }()
	return strings.Join(n.seen, "; ")
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

func TestHostileInputIsRefusedAndNothingBehindItServed(t *testing.T) {
	var notes notebook
	r := start(t, notes.handle)
	both(t, func(t *testing.T, secure bool) {
		for _, test := range append(slices.Clone(framing), lines...) {
			c := r.dial(secure)
			c.t = t
			go c.send(test.bytes, smuggled) // more than is read may be in it
			var last answer
			for range 1 + strings.Count(test.served, " /") - strings.Count(test.served, "!") {
				last = c.read()
			}
			if last.StatusCode != test.status || !last.Close {
				t.Errorf("%s: %s, close %v, want %d", test.what, last.Status, last.Close, test.status)
			}
			c.closed()
			_ = c.Close()
			if got := notes.told(); got != test.served {
				t.Errorf("%s: served %q, want %q", test.what, got, test.served)
			}
			good := r.dial(secure)
			if got := good.ask(get); got.StatusCode != 200 || notes.told() != "GET / " {
				t.Fatalf("%s: a good request afterwards: %s", test.what, got.Status)
			}
			_ = good.Close()
		}
	})
}

// What cannot become a request is refused without waiting for more of it.
func TestWhatIsNoHTTPIsRefusedAtOnce(t *testing.T) {
	r := start(t, func(http.ResponseWriter, *http.Request) { t.Error("served") })
	for _, begin := range []string{"\x16\x03\x01\x00\xf4\x01", "\x05\x01\x00", "\x00", "GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nHost: x\n"} {
		c := r.dial(false)
		if got := c.ask(begin); got.StatusCode != 400 {
			t.Errorf("%q: %s", begin, got.Status)
		}
		c.closed()
		_ = c.Close()
	}
}

func TestWhatLooksOddAndIsInOrderIsServedOnce(t *testing.T) {
	var notes notebook
	r := start(t, notes.handle)
	both(t, func(t *testing.T, secure bool) {
		for _, test := range []struct{ what, bytes, served string }{
			{"an empty line in front", "\r\n" + get, "GET / "},
			{"the most empty lines in front", strings.Repeat("\r\n", maxEmpty) + get, "GET / "},
			{"a header of just the most", sized(64 << 10), "POST /1 "},
			{"a header of one byte less", sized(64<<10 - 1), "POST /1 "},
			{"the most fields", many(maxFields), "POST /1 "},
			{"one field less", many(maxFields - 1), "POST /1 "},
			{"no space behind a colon", "GET / HTTP/1.1\r\nHost:x\r\n\r\n", "GET / "},
			{"white space around a value", head("Content-Length: \t 2 \t ") + "ok", "POST /1 ok"},
			{"leading zeroes of CL", head("Content-Length: 0002") + "ok", "POST /1 ok"},
			{"chunked in capitals", head("TRANSFER-ENCODING:CHUNKED") + "2\r\nok\r\n0\r\n\r\n", "POST /1 ok"},
			{"leading zeroes of a chunk size", chunkedBody("0002\r\nok\r\n000\r\n\r\n"), "POST /1 ok"},
			{"chunk extensions", chunkedBody("2;a=b;c=\"d\"\r\nok\r\n0;x\r\n\r\n"), "POST /1 ok"},
			{"trailers", chunkedBody("2\r\nok\r\n0\r\nX: a\r\nY: b\r\n\r\n"), "POST /1 ok"},
			{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / "},
			{"an odd method", line("!#$%&'*+-.^_`|~09Az / HTTP/1.1"), "!#$%&'*+-.^_`|~09Az / "},
			{"bytes beyond ASCII in a value", head("X: \xff\xe9"), "POST /1 "},
			{"a body of GET", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", "GET / ok"},
			{"a body that is a request", head(fmt.Sprint("Content-Length: ", len(smuggled))) + smuggled, "POST /1 " + smuggled},
			{"an asterisk", line("OPTIONS * HTTP/1.1"), "OPTIONS * "},
			{"an absolute target", line("GET http://y/ HTTP/1.1"), "GET http://y/ "},
		} {
			c := r.dial(secure)
			c.t = t
			if got := c.ask(test.bytes); got.StatusCode != 200 || got.Close {
				t.Errorf("%s: %s, close %v", test.what, got.Status, got.Close)
			}
			if got := notes.told(); got != test.served {
				t.Errorf("%s: served %q, want %q", test.what, got, test.served)
			}
			if got := c.ask(get); got.StatusCode != 200 || notes.told() != "GET / " {
				t.Errorf("%s: the next request: %s", test.what, got.Status)
			}
			_ = c.Close()
		}
	})
}
