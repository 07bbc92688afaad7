package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOddTargetsReachTheServerByteForByte(t *testing.T) {
	targets := []string{
		"/", "/?", "/??", "/a/../b/./c", "/%2e%2e/%2E", "//double//slash//", "//host.example/x", "/a%2Fb%2fc", "/a;b=c",
		"/?a=1;b=2&c=%zz&d", "/?q=a+b%20c", "/?redirect=https://x.example/?y=1", "/{}|\\^`\"<>", "/%41%00", "/caf\xc3\xa9", "/:80", "/a?b?c",
	}
	everyWay(t, []string{proto10, proto11}, func(t *testing.T, w *way) {
		seen := make(chan string, 1)
		w.serve(func(_ http.ResponseWriter, req *http.Request) { seen <- req.RequestURI })
		for _, target := range targets {
			conn, br := w.secure(w.host, "localhost")
			resp, _ := ask(t, conn, br, "GET "+target+" "+w.proto, "Host: "+w.host)
			if resp.StatusCode != 200 {
				t.Errorf("%q: %s", target, resp.Status)
				continue
			}
			if got := await(t, "the request", seen); got != target {
				t.Errorf("the server saw %q, want %q", got, target)
			}
		}
	})
}

func TestOptionsForTheServerAsAWholeIsAnsweredByTheServer(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			rw.Header().Set("Allow", "GET, OPTIONS")
			_, _ = io.WriteString(rw, req.Method+" "+req.RequestURI)
		}, func(s *httptest.Server) { s.Config.DisableGeneralOptionsHandler = true })
		req := w.request("OPTIONS", "", nil)
		req.URL.Path = "*"
		if resp, body := w.send(req); resp.StatusCode != 200 || body != "OPTIONS *" || resp.Header.Get("Allow") != "GET, OPTIONS" {
			t.Errorf("%s %q, Allow %q", resp.Status, body, resp.Header.Get("Allow"))
		}
	})
}
