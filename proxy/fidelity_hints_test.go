package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

// hinting answers in several steps, the final one when the test lets it.
func hinting(t *testing.T, final <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Link"] = []string{"</a.css>; rel=preload", "</b.css>; rel=preload"}
		w.WriteHeader(http.StatusEarlyHints)
		h["Link"] = []string{"</c.css>; rel=preload"}
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
		w.WriteHeader(http.StatusProcessing)
		hold(t, final)
		h.Set("X-Final", "yes")
		_, _ = io.WriteString(w, "the answer")
	}
}

func TestEarlyHintsArriveBeforeTheAnswer(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		final := make(chan struct{})
		w.serve(hinting(t, final))
		var hints []string
		req := w.request("GET", "/", nil)
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if hints = append(hints, fmt.Sprint(code, h["Link"])); len(hints) == 3 {
					close(final) // the server waits for this
				}
				return nil
			},
		}))
		resp, body := w.send(req)
		want := "103 [</a.css>; rel=preload </b.css>; rel=preload] | 103 [</c.css>; rel=preload] | 102 []"
		if got := strings.Join(hints, " | "); got != want {
			t.Errorf("the hints are %s\nwant %s", got, want)
		}
		if resp.StatusCode != 200 || body != "the answer" || resp.Header.Get("X-Final") != "yes" || resp.Header.Get("Link") != "" {
			t.Errorf("%s %q, %v", resp.Status, body, resp.Header)
		}
	})
}

// A client of HTTP/1.0 would take the first hint for the answer (RFC 9110 section 15.2).
func TestAClientThatKnowsNoHintsGetsNone(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		final := make(chan struct{})
		close(final)
		w.serve(hinting(t, final))
		if resp, body := w.send(w.request("GET", "/", nil)); resp.StatusCode != 200 || body != "the answer" {
			t.Errorf("%s %q", resp.Status, body)
		}
	})
}

// A server that never comes to its answer must not keep a client busy for ever.
func TestAStormOfHintsEnds(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		const most = 16 << 20
		sent := make(chan int, 1)
		w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			hint := []byte("HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("x", 4000) + ">\r\n\r\n")
			n := 0
			for n < most {
				m, err := conn.Write(hint)
				if n += m; err != nil {
					break
				}
			}
			sent <- n
		})
		req := w.request("GET", "/", nil)
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil }, // a client that bears it all
		}))
		if resp, err := w.client().Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 500 {
				t.Errorf("it was answered %s", resp.Status)
			}
		}
		if n := await(t, "the end of the storm", sent); n >= most {
			t.Errorf("all %d bytes of hints were taken", n)
		}
	})
}
