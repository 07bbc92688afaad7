package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestLongPathsAndFieldsPassUpToAMegabyte(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 15<<10) // 240 KiB
	many := http.Header{}
	for i := range 1000 {
		many.Set(fmt.Sprintf("X-Many-%d", i), strings.Repeat("v", 100))
	}
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan string, 1)
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			arrived <- req.RequestURI
			for name, values := range many {
				if req.Header.Get(name) != values[0] {
					t.Errorf("the server saw %s: %q", name, req.Header.Get(name))
				}
				rw.Header()[name] = values
			}
			if req.Header.Get("X-Long") != long {
				t.Errorf("the server saw %d bytes of X-Long", len(req.Header.Get("X-Long")))
			}
			rw.Header().Set("X-Long", long+long)
		})
		req := w.request("GET", "/"+long+"?q="+long, nil)
		req.Header = many.Clone()
		req.Header.Set("X-Long", long)
		resp, _ := w.send(req)
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		if got := await(t, "the request", arrived); got != "/"+long+"?q="+long {
			t.Errorf("%d bytes of the target arrived", len(got))
		}
		if resp.Header.Get("X-Long") != long+long {
			t.Errorf("the client saw %d bytes of X-Long", len(resp.Header.Get("X-Long")))
		}
		expectFields(t, "the client", resp.Header, many)
	})
}

func TestAHeaderBeyondTheLimitIsRefused(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the server") })
	r.list(host, "a")
	conn, br := r.secure(host, "localhost")
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nX-Huge: "+strings.Repeat("x", 1<<20+16<<10)+"\r\n\r\n")
	}()
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v, %v", resp, err)
	}
	_ = conn.Close()
	await(t, "the end of the request", written)
	if tried := r.took(); len(tried) > 0 { // the server would have refused it, too
		t.Errorf("attempts %v", tried)
	}
}

func TestAnAnswerWithAHeaderBeyondTheLimitIsAnError(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(verbatim("HTTP/1.1 200 OK\r\nX-Huge: " + strings.Repeat("x", 2<<20) + "\r\nContent-Length: 0\r\n\r\n"))
		resp, body := w.send(w.request("GET", "/", nil))
		if resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(resp.Header.Get("Proxy-Status"), "certproxy; error=") {
			t.Errorf("%s %.200q, Proxy-Status %q", resp.Status, body, resp.Header.Get("Proxy-Status"))
		}
	})
}
