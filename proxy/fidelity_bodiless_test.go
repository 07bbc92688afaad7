package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestHeadIsAnsweredWithTheLengthOfWhatGetWouldSend(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			if length := req.URL.Query().Get("length"); length != "" {
				rw.Header().Set("Content-Length", length)
			}
			rw.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			rw.Header().Set("Docker-Content-Digest", "sha256:0123")
		})
		for _, length := range []string{"12345", "0", ""} {
			resp, body := w.send(w.request("HEAD", "/?length="+length, nil))
			h := resp.Header
			if resp.StatusCode != 200 || body != "" || h.Get("Content-Length") != length || len(resp.TransferEncoding) > 0 {
				t.Errorf("%s, %d bytes, Content-Length %q, want %q; coded %v", resp.Status, len(body), h.Get("Content-Length"), length, resp.TransferEncoding)
			}
			if h.Get("Content-Type") != "application/vnd.oci.image.index.v1+json" || h.Get("Docker-Content-Digest") != "sha256:0123" {
				t.Errorf("the fields are %v", h)
			}
		}
	})
}

func TestAnswersWithoutABodyKeepTheirFields(t *testing.T) {
	fields := map[string]string{
		"ETag": `"v1"`, "Cache-Control": "max-age=60", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
		"Vary": "Accept", "Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT", "X-Own": "kept",
	}
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			for name, value := range fields {
				rw.Header().Set(name, value)
			}
			rw.WriteHeader(map[string]int{"/204": 204, "/304": 304}[req.URL.Path])
		})
		for path, status := range map[string]int{"/204": 204, "/304": 304} {
			resp, body := w.send(w.request("GET", path, nil))
			if resp.StatusCode != status || body != "" || len(resp.TransferEncoding) > 0 || resp.Header.Get("Content-Length") != "" {
				t.Errorf("%s, body %q, coded %v, Content-Length %q", resp.Status, body, resp.TransferEncoding, resp.Header.Get("Content-Length"))
			}
			for name, value := range fields {
				if got := resp.Header.Get(name); got != value {
					t.Errorf("%s: %s is %q, want %q", path, name, got, value)
				}
			}
		}
	})
}

func TestAnEmptyAnswerHasLengthZero(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Content-Length", "0") })
		resp, body := w.send(w.request("GET", "/", nil))
		if body != "" || resp.Header.Get("Content-Length") != "0" || len(resp.TransferEncoding) > 0 {
			t.Errorf("body %q, Content-Length %q, coded %v", body, resp.Header.Get("Content-Length"), resp.TransferEncoding)
		}
	})
}

// A byte of a body where none may be would be taken for the next answer.
func TestNothingFollowsAnAnswerWithoutABody(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			switch req.URL.Path {
			case "/204":
				rw.WriteHeader(204)
			case "/304":
				rw.WriteHeader(304)
			default:
				_, _ = io.WriteString(rw, "body of "+req.URL.Path)
			}
		})
		conn, br := w.secure(w.host, "localhost")
		for _, line := range []string{"HEAD /1", "GET /204", "HEAD /304", "GET /304", "HEAD /2", "GET /3"} {
			method, path, _ := strings.Cut(line, " ")
			_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, path, w.host)
			if got, want := answerTo(t, br, method), map[string]string{"GET /3": "body of /3"}[line]; got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
	})
}

// answerTo reads the body of the next answer on a connection.
func answerTo(t *testing.T, br *bufio.Reader, method string) string {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return string(body)
}
