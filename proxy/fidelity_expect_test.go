package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// refusing answers early with a status, without a look at the body.
func refusing(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example/token"`)
		w.WriteHeader(status)
	}
}

// expecting sends the header of an upload that waits for a 100.
func (w *way) expecting(fields ...string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	conn, br := w.secure(w.host, "localhost")
	_ = conn.SetDeadline(deadline())
	_, _ = io.WriteString(conn, "PUT /v2/x/manifests/1 HTTP/1.1\r\nHost: "+w.host+"\r\nExpect: 100-continue\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n")
	return conn, br
}

// statuses reads answers up to the final one.
func statuses(t *testing.T, br *bufio.Reader) (all []int) {
	t.Helper()
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: "PUT"})
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		all = append(all, resp.StatusCode)
		if resp.StatusCode >= 200 {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return all
		}
	}
}

func TestABodyThatTheServerWantsIsAskedForOnce(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for fields, body := range map[string]string{
			"Content-Length: 8":          "the body",
			"Transfer-Encoding: chunked": "3\r\nthe\r\n5\r\n body\r\n0\r\n\r\n",
		} {
			arrived := make(chan arrival, 1)
			w.serve(receiving(arrived)) // Go's server sends the 100 when the body is read
			conn, br := w.expecting(fields)
			if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 100 {
				t.Fatalf("first came %v, %v", resp, err)
			}
			_, _ = io.WriteString(conn, body)
			if got := statuses(t, br); len(got) != 1 || got[0] != 200 {
				t.Errorf("after the first 100 came %v", got)
			}
			if got := await(t, "the request", arrived); got.body != "the body" || got.err != nil || got.fields.Get("Expect") != "100-continue" {
				t.Errorf("the server saw %+v", got)
			}
		}
	})
}

func TestABodyThatTheServerRefusesIsNotAskedFor(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, status := range []int{http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusExpectationFailed} {
			for _, fields := range []string{"Content-Length: 1000000000", "Transfer-Encoding: chunked"} {
				w.serve(refusing(status))
				_, br := w.expecting(fields)
				if got := statuses(t, br); len(got) != 1 || got[0] != status {
					t.Errorf("%s: it was answered %v, want %d alone", fields, got, status)
				}
			}
		}
	})
}

// A client may lose patience and send the body without the 100.
func TestABodySentAtOnceArrivesAllTheSame(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		conn, br := w.secure(w.host, "localhost")
		_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: "+w.host+"\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\nthe body")
		got := statuses(t, br)
		if n := len(got); n > 2 || n == 2 && got[0] != 100 || got[n-1] != 200 {
			t.Errorf("it was answered %v", got)
		}
		if got := await(t, "the request", arrived); got.body != "the body" || got.err != nil {
			t.Errorf("the server saw %+v", got)
		}
	})
}
