package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// oddFields are allowed, and lost by what takes fields for a map of strings.
func oddFields() http.Header {
	return http.Header{
		"X-Twice":   {"first", "second", "first"},
		"X-Empty":   {""},
		"X-Empties": {"", "", "x"},
		"X-Commas":  {"a, b,,c , d", "e"},
		"X-Quoted":  {`"a\"b, c"; d="é"`},
		"X-Latin-1": {"caf\xe9"},
		"X-Tab":     {"a\tb"},
		"X_under":   {"1"},
		"X!#$%&'*+": {"1"},
		"X-Long":    {strings.Repeat("long ", 2000) + "."},
		"Warning":   {`110 - "stale"`, `112 - "offline"`},
	}
}

func expectFields(t *testing.T, where string, got, want http.Header) {
	t.Helper()
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Errorf("%s saw %s: %.100q, want %.100q", where, name, got[name], values)
		}
	}
}

func TestOddFieldsOfARequestReachTheServer(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		want := oddFields()
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Forwarded"} {
			want[name] = []string{"192.0.2.1", "for " + name}
		}
		want["User-Agent"] = []string{"docker/29.0 (linux)"}
		want["Authorization"] = []string{"Bearer abc.def"}
		want["Cookie"] = []string{`a=1; b="2"; c=`}
		req := w.request("GET", "/", nil)
		req.Header = want.Clone()
		w.send(req)
		expectFields(t, "the server", await(t, "the request", arrived).fields, want)
	})
}

func TestNothingIsAddedToARequestButVia(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		req := w.request("GET", "/", nil)
		req.Header["User-Agent"] = nil // Go's client adds its own otherwise
		w.send(req)
		for name, values := range await(t, "the request", arrived).fields {
			if name != "Via" {
				t.Errorf("the server saw %s: %q", name, values)
			}
		}
	})
}

// answerWith is a raw answer with these fields.
func answerWith(fields http.Header, body string) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", len(body))
	for name, values := range fields {
		for _, v := range values {
			_, _ = fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	return b.String() + "\r\n" + body
}

func TestOddFieldsOfAnAnswerReachTheClient(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		want := oddFields()
		want["Set-Cookie"] = []string{"a=1; Path=/", "b=2, 3; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "a=4"}
		want["Link"] = []string{`</v2/_catalog?n=1>; rel="next"`}
		want["Date"] = []string{"Tue, 15 Nov 1994 08:12:31 GMT"}
		want["Server"] = []string{"test/1.0"}
		want["Content-Type"] = []string{"application/json"}
		w.serve(verbatim(answerWith(want, "{}")))
		resp, _ := w.send(w.request("GET", "/", nil))
		expectFields(t, "the client", resp.Header, want)
	})
}

// A type that the server did not give would be a guess, and browsers act on it.
func TestNoContentTypeIsGuessedForAnAnswer(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(verbatim(answerWith(nil, "<html>looks like a page</html>")))
		if resp, _ := w.send(w.request("GET", "/", nil)); resp.Header["Content-Type"] != nil {
			t.Errorf("the client saw Content-Type: %q", resp.Header["Content-Type"])
		}
	})
}
