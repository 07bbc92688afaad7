package http1

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestConnectionsAreKeptAsTheirClientsAskFor(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/known" {
			w.Header().Set("Content-Length", "2")
		}
		if req.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		_, _ = io.WriteString(w, "ok")
	})
	for _, test := range []struct {
		request    string
		kept       bool
		connection string // of the answer; close is told otherwise
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, ""},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", true, ""},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n", false, ""},
		{"GET /close HTTP/1.1\r\nHost: x\r\n\r\n", false, ""},
		{"GET /known HTTP/1.0\r\n\r\n", false, ""},
		{"GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, "keep-alive"},
		{"GET /known HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, ""},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, ""}, // only its end ends the answer
	} {
		c := r.dial(false)
		got := c.ask(test.request)
		if got.body != "ok" || got.err != nil || got.Close == test.kept || strings.Join(got.Header["Connection"], "|") != test.connection {
			t.Errorf("%.60q: %q, %v, Connection %q", test.request, got.body, got.err, got.Header["Connection"])
		}
		if !test.kept {
			c.closed()
		} else if again := c.ask(get); again.StatusCode != 200 {
			t.Errorf("%.60q: the next one: %s", test.request, again.Status)
		}
		_ = c.Close()
	}
}

func TestRequestsThatDoNotWaitAreAnsweredInOrder(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		_, _ = fmt.Fprint(w, req.URL.Path, " ", string(b))
	})
	both(t, func(t *testing.T, secure bool) {
		var all strings.Builder
		for i := range 200 {
			switch body := strings.Repeat("x", i*50); i % 3 {
			case 0:
				_, _ = fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
			case 1:
				_, _ = fmt.Fprintf(&all, "PUT /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
			case 2:
				_, _ = fmt.Fprintf(&all, "PUT /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", i, len(body), body)
			}
		}
		c := r.dial(secure)
		go c.send(all.String())
		for i := range 200 {
			want := fmt.Sprintf("/%d ", i)
			if i%3 > 0 {
				want += strings.Repeat("x", i*50)
			}
			if got := c.read(); got.body != want {
				t.Fatalf("the answer %d is %.40q of %d bytes", i, got.body, len(got.body))
			}
		}
	})
}

func TestAnswersWithoutABodyKeepTheirFields(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h["Content-Length"], h["Content-Type"], h["Etag"], h["X"] = []string{"12345"}, []string{"text/x"}, []string{`"a"`}, []string{"a\r\nY: b"}
		status := 200
		_, _ = fmt.Sscanf(req.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		if _, err := io.WriteString(w, "body"); req.Method == http.MethodHead && err == nil {
			t.Error("a body of HEAD was written")
		}
	})
	c := r.dial(false)
	for _, test := range []struct{ method, path, length string }{
		{"HEAD", "/200", "12345"}, {"HEAD", "/404", "12345"}, {"GET", "/304", "12345"}, {"GET", "/204", ""}, {"HEAD", "/204", ""},
	} {
		c.send(test.method, " ", test.path, " HTTP/1.1\r\nHost: x\r\n\r\n")
		got := c.read(test.method)
		if fmt.Sprint(got.StatusCode) != test.path[1:] || got.Header.Get("Content-Length") != test.length || got.body != "" ||
			got.Header.Get("Content-Type") != "text/x" || got.Header.Get("Etag") != `"a"` || got.TransferEncoding != nil {
			t.Errorf("%s %s: %s %v %q", test.method, test.path, got.Status, got.Header, got.body)
		}
		if got.Header.Get("Y") != "" {
			t.Errorf("%s %s: a field's value became a field", test.method, test.path)
		}
	}
}

// Nothing is guessed: what the handler did not say is not in the answer.
func TestAnAnswerHasNoFieldsOfItsOwnButTheDateAndFraming(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	got := r.dial(false).ask(get)
	if len(got.Header) != 1 || got.Header.Get("Date") == "" || got.body != "<html>" || got.TransferEncoding == nil {
		t.Errorf("%v, %q", got.Header, got.body)
	}
}

func TestTrailersComeThroughBothWays(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Trailer", "Announced")
		_, announced := req.Trailer["A"]
		_, _ = io.Copy(w, req.Body)
		w.Header().Set("Announced", fmt.Sprint(announced, " ", req.Trailer.Get("A"), " ", req.Trailer.Get("B")))
		w.Header().Set(http.TrailerPrefix+"Unannounced", "b")
		w.Header().Set(http.TrailerPrefix+"Transfer-Encoding", "chunked")
		w.Header().Set("Late", "never")
	})
	c := r.dial(false)
	for range 2 {
		got := c.ask("POST / HTTP/1.1\r\nHost: x\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nA: a\r\nB: b\r\n\r\n")
		if got.body != "body" || got.Trailer.Get("Announced") != "true a b" || got.Trailer.Get("Unannounced") != "b" || len(got.Trailer["Transfer-Encoding"]) > 0 {
			t.Errorf("%q, %v", got.body, got.Trailer)
		}
		for name := range got.Header {
			if strings.HasPrefix(name, http.TrailerPrefix) || name == "Late" {
				t.Errorf("%s is in the header", name)
			}
		}
	}
}

func TestAWriteBeyondTheContentLengthIsRefusedAndTheAnswerStands(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "ok")
		if _, err := io.WriteString(w, "!"); err == nil {
			t.Error("written")
		}
	})
	c := r.dial(false)
	for range 2 {
		if got := c.ask(get); got.body != "ok" || got.err != nil {
			t.Errorf("%q, %v", got.body, got.err)
		}
	}
}

func TestAnAnswerShorterThanItsContentLengthIsBrokenOff(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
		})
		c := r.dial(secure)
		if got := c.ask(get, smuggled); got.err == nil {
			t.Errorf("%q looks whole", got.body)
		}
	})
}
