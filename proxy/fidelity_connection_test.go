package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// echoing answers with the request's method, path and body.
func echoing(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s", req.Method, req.URL.Path, body)
}

func TestRequestsSentInOneWriteAreAnsweredInOrder(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(echoing)
		conn, br := w.secure(w.host, "localhost")
		host := "Host: " + w.host + "\r\n"
		_, _ = io.WriteString(conn, strings.Join([]string{
			"GET /1 HTTP/1.1\r\n" + host + "\r\n",
			"POST /2 HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\ntwo",
			"HEAD /3 HTTP/1.1\r\n" + host + "\r\n",
			"PUT /4 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nfou\r\n1\r\nr\r\n0\r\n\r\n",
			"GET /5 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		}, ""))
		for _, want := range []string{"GET /1 ", "POST /2 two", "HEAD", "PUT /4 four", "GET /5 "} {
			method, _, _ := strings.Cut(want, " ")
			if got := answerTo(t, br, method); got != want && method != "HEAD" {
				t.Errorf("the answer is %q, want %q", got, want)
			}
		}
		if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
			t.Errorf("after the last answer: %q, %v", rest, err)
		}
	})
}

func TestAConnectionServesOneRequestAfterTheOther(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(echoing)
		conn, br := w.secure(w.host, "localhost")
		for i := range 5 {
			resp, body := ask(t, conn, br, fmt.Sprintf("GET /%d HTTP/1.1", i), "Host: "+w.host)
			if resp.StatusCode != 200 || body != fmt.Sprintf("GET /%d ", i) || resp.Close {
				t.Errorf("request %d: %s %q, close %v", i, resp.Status, body, resp.Close)
			}
		}
	})
}

// Connection is about one leg: the client ends its own, not the proxy's.
func TestAClientsCloseEndsItsOwnConnectionOnly(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		from := make(chan string, 2)
		w.serve(func(_ http.ResponseWriter, req *http.Request) {
			if req.Close || req.Header.Get("Connection") != "" {
				t.Errorf("the server saw Connection %q, close %v", req.Header.Get("Connection"), req.Close)
			}
			from <- req.RemoteAddr
		})
		for range 2 {
			conn, br := w.secure(w.host, "localhost")
			resp, _ := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host, "Connection: close")
			if resp.StatusCode != 200 || !resp.Close {
				t.Errorf("%s, close %v", resp.Status, resp.Close)
			}
			if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
				t.Errorf("after the answer: %q, %v", rest, err)
			}
		}
		if first, second := await(t, "the request", from), await(t, "the request", from); first != second {
			t.Errorf("the requests came from %s and %s: the connection to the server was not kept", first, second)
		}
	})
}

func TestAServersCloseLeavesTheClientsConnection(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			rw.Header().Set("Connection", "close")
			echoing(rw, req)
		})
		conn, br := w.secure(w.host, "localhost")
		for range 3 {
			resp, body := ask(t, conn, br, "POST /x HTTP/1.1", "Host: "+w.host, "Content-Length: 0")
			if resp.StatusCode != 200 || body != "POST /x " || resp.Close || resp.Header.Get("Connection") != "" {
				t.Errorf("%s %q, Connection %q", resp.Status, body, resp.Header.Get("Connection"))
			}
		}
	})
}
