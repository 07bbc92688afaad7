package proxy

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// digits serves ten bytes of which a client may ask for parts.
func digits(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("ETag", `"v1"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, req, "", time.Unix(1_000_000_000, 0), strings.NewReader("0123456789"))
}

func TestARangeIsTheServersAnswer(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(digits)
		for _, test := range []struct {
			ranges, ifRange string
			status          int
			contentRange    string
			body            string
		}{
			{"bytes=2-5", "", 206, "bytes 2-5/10", "2345"},
			{"bytes=-3", "", 206, "bytes 7-9/10", "789"},
			{"bytes=4-", `"v1"`, 206, "bytes 4-9/10", "456789"},
			{"bytes=4-", `"v0"`, 200, "", "0123456789"},
			{"bytes=4-", "Sun, 09 Sep 2001 01:46:40 GMT", 206, "bytes 4-9/10", "456789"},
			{"bytes=10-", "", 416, "bytes */10", "invalid range: failed to overlap\n"},
		} {
			req := w.request("GET", "/", nil)
			req.Header.Set("Range", test.ranges)
			if test.ifRange != "" {
				req.Header.Set("If-Range", test.ifRange)
			}
			resp, body := w.send(req)
			if resp.StatusCode != test.status || body != test.body || resp.Header.Get("Content-Range") != test.contentRange ||
				resp.ContentLength != int64(len(test.body)) || test.status == 206 && resp.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%s, If-Range %s: %s %q, %v", test.ranges, test.ifRange, resp.Status, body, resp.Header)
			}
		}
	})
}

func TestSeveralRangesComeAsOneMultipartAnswer(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(digits)
		req := w.request("GET", "/", nil)
		req.Header.Set("Range", "bytes=0-1,4-5,9-")
		resp, body := w.send(req)
		kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil || resp.StatusCode != 206 || kind != "multipart/byteranges" || resp.ContentLength != int64(len(body)) {
			t.Fatalf("%s, %v, %v", resp.Status, resp.Header, err)
		}
		parts := multipart.NewReader(strings.NewReader(body), params["boundary"])
		for _, want := range []string{"bytes 0-1/10 01", "bytes 4-5/10 45", "bytes 9-9/10 9"} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(part)
			if got := part.Header.Get("Content-Range") + " " + string(data); err != nil || got != want {
				t.Errorf("a part is %q, %v; want %q", got, err, want)
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
	})
}
