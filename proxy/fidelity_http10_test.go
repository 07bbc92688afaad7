package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// talk10 sends a raw request and returns all that comes until the connection ends:
// HTTP/1.0 keeps none.
func (w *way) talk10(request string) string {
	w.t.Helper()
	conn, br := w.secure(w.host, "localhost")
	_ = conn.SetDeadline(deadline())
	_, _ = io.WriteString(conn, request)
	answer, err := io.ReadAll(br)
	if err != nil {
		w.t.Fatalf("%q, then %v", answer, err)
	}
	return string(answer)
}

func TestAClientOfHTTP10NeedsNoHost(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		if answer := w.talk10("GET /x HTTP/1.0\r\n\r\n"); !strings.Contains(answer, " 200 OK\r\n") {
			t.Fatal(answer)
		}
		if got := await(t, "the request", arrived); got.host != w.host {
			t.Errorf("the server saw the Host %q, want %q", got.host, w.host)
		}
	})
}

func TestAnAnswerInHTTP10HasALengthOrEndsTheConnection(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/length" {
				rw.Header().Set("Content-Length", "9")
			} else {
				_ = http.NewResponseController(rw).Flush() // chunked
			}
			_, _ = io.WriteString(rw, "the whole")
		})
		for _, path := range []string{"/length", "/chunked"} {
			head, body, _ := strings.Cut(w.talk10("GET "+path+" HTTP/1.0\r\nHost: "+w.host+"\r\n\r\n"), "\r\n\r\n")
			if body != "the whole" || strings.Contains(head, "\r\nTransfer-Encoding:") || strings.Contains(head, "\r\nContent-Length: 9") != (path == "/length") {
				t.Errorf("%s: %s\n\n%s", path, head, body)
			}
			if !strings.HasPrefix(head, "HTTP/1.0 200 ") && !strings.HasPrefix(head, "HTTP/1.1 200 ") {
				t.Errorf("%s: %s", path, head)
			}
		}
	})
}

func TestAPostInHTTP10ArrivesWhole(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		sent := strings.Repeat("field=value&", 10_000)
		answer := w.talk10(fmt.Sprintf("POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent))
		if !strings.Contains(answer, " 200 OK\r\n") {
			t.Fatal(answer)
		}
		if got := await(t, "the request", arrived); got.body != sent || got.length != int64(len(sent)) {
			t.Errorf("%d of %d bytes arrived, Content-Length %d", len(got.body), len(sent), got.length)
		}
	})
}

// Expect is not for HTTP/1.0: such a client does not know the 100 (RFC 9110 section 10.1.1).
func TestAClientOfHTTP10IsNotToldToContinue(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		answer := w.talk10("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
		if strings.Contains(answer, " 100 ") || !strings.Contains(answer, " 200 OK\r\n") {
			t.Fatal(answer)
		}
		if got := await(t, "the request", arrived); got.body != "body" {
			t.Errorf("%q arrived", got.body)
		}
	})
}
