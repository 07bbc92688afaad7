package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// An upload is a body of unknown length whose client waits for a 100 before it reads it.
type upload struct {
	io.Reader
	read     bool
	statuses []int // before the final one
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.read = true
	return u.Reader.Read(p)
}

// expectingOverHTTP2 sends an upload that waits for a 100, and returns the final status.
func (w *way) expectingOverHTTP2() (*upload, int) {
	w.t.Helper()
	u := &upload{Reader: strings.NewReader("the body")}
	req := w.request("PUT", "/", u)
	req.ContentLength = -1 // as of a large one: net/http hides the Expect itself
	req.Header.Set("Expect", "100-continue")
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			u.statuses = append(u.statuses, code)
			return nil
		},
	}))
	client := w.client()
	client.Transport.(*http.Transport).ExpectContinueTimeout = 20 * time.Second // it does not lose patience
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return u, resp.StatusCode
}

func TestOverHTTP2ABodyThatTheServerWantsIsAskedForOnce(t *testing.T) {
	everyWay(t, []string{proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		u, status := w.expectingOverHTTP2()
		if status != 200 || len(u.statuses) != 1 || u.statuses[0] != 100 {
			t.Errorf("it was answered %v, then %d", u.statuses, status)
		}
		if got := await(t, "the request", arrived); got.body != "the body" || got.err != nil {
			t.Errorf("the server saw %+v", got)
		}
	})
}

func TestOverHTTP2ABodyThatTheServerRefusesIsNotAskedFor(t *testing.T) {
	everyWay(t, []string{proto2}, func(t *testing.T, w *way) {
		// A 417 is missing: net/http hides the Expect of HTTP/2, so it may be about the
		// proxy's own, and the request goes once more without.
		for _, refused := range []int{http.StatusUnauthorized, http.StatusRequestEntityTooLarge} {
			w.serve(refusing(refused))
			u, status := w.expectingOverHTTP2()
			if status != refused || len(u.statuses) > 0 || u.read {
				t.Errorf("it was answered %v, then %d, want %d alone; body read: %v", u.statuses, status, refused, u.read)
			}
		}
	})
}
