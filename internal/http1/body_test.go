package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const expecting = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n"

func TestABodyIsAskedForWithItsFirstRead(t *testing.T) {
	may := make(chan struct{})
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		<-may
		_, _ = io.Copy(w, req.Body)
	})
	c := r.dial(false)
	for range 2 {
		c.send(expecting)
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if b, err := c.br.Peek(1); err == nil {
			t.Fatalf("%q before the body was read", b)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		may <- struct{}{}
		if got := c.read(); got.StatusCode != 100 || len(got.Header) > 0 {
			t.Fatalf("%s %v", got.Status, got.Header)
		}
		c.send("body")
		if got := c.read(); got.body != "body" || got.Close {
			t.Errorf("%q, close %v", got.body, got.Close)
		}
	}
	old := r.dial(false) // HTTP/1.0 has no interim answers
	old.send(strings.Replace(expecting, "HTTP/1.1", "HTTP/1.0", 1), "body")
	may <- struct{}{}
	if got := old.read(); got.StatusCode != 200 || got.body != "body" {
		t.Errorf("HTTP/1.0: %s %q", got.Status, got.body)
	}
}

func TestABodyThatIsNotAskedForIsNoRequest(t *testing.T) {
	served := 0
	r := start(t, func(http.ResponseWriter, *http.Request) { served++ })
	c := r.dial(false)
	if got := c.ask(strings.Replace(expecting, "4", "36", 1), smuggled); got.StatusCode != 200 {
		t.Error(got.Status)
	}
	c.closed()
	if served != 1 {
		t.Errorf("%d requests were served", served)
	}
}

func TestAShortBodyThatNobodyReadIsPassedOver(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := start(t, func(http.ResponseWriter, *http.Request) {})
		c := r.dial(secure)
		for _, request := range []string{
			post(4) + "body", head("Transfer-Encoding: chunked") + "4\r\nbody\r\n0\r\nX: a\r\n\r\n", post(60<<10) + strings.Repeat("x", 60<<10),
		} {
			if got := c.ask(request); got.StatusCode != 200 || got.Close {
				t.Errorf("%.40q: %s, close %v", request, got.Status, got.Close)
			}
		}
	})
}

// Closing with bytes unread would reset the connection and take the answer with it.
func TestAClientThatIsStillSendingCanReadItsAnswer(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no")
		})
		for _, request := range []string{
			post(900<<10) + strings.Repeat("x", 900<<10),
			head("Transfer-Encoding: chunked") + "e0000\r\n" + strings.Repeat("x", 0xe0000) + "\r\n0\r\n\r\n",
			head("Content-Length: x") + strings.Repeat("x", 900<<10),
		} {
			c := r.dial(secure)
			c.send(request) // all of it, before anything is read
			if got := c.read(); got.StatusCode/100 != 4 || got.err != nil {
				t.Errorf("%.60q: %s, %v", request, got.Status, got.err)
			}
			_ = c.Close()
		}
	})
}

func TestABodyThatBreaksOffIsAnErrorAndEndsTheContext(t *testing.T) {
	ends := make(chan error, 1)
	r := start(t, func(_ http.ResponseWriter, req *http.Request) {
		_, err := io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
		ends <- err
	})
	for _, request := range []string{post(100) + "a part", head("Transfer-Encoding: chunked") + "4\r\nbody\r\n", head("Transfer-Encoding: chunked") + "0\r\nX: a\r\n"} {
		c := r.dial(false)
		c.send(request)
		_ = c.Close()
		if err := within(t, "its end", ends); err == nil {
			t.Errorf("%q ended well", request)
		}
	}
}
