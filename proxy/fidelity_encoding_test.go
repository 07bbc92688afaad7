package proxy

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strconv"
	"testing"
)

func TestACodedBodyIsNeitherDecodedNorAskedFor(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(bytes.Repeat([]byte("a layer "), 1000))
	_ = z.Close()
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		asked := make(chan []string, 1)
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			asked <- req.Header["Accept-Encoding"]
			rw.Header().Set("Content-Type", "text/plain")
			rw.Header().Set("Content-Encoding", "gzip")
			rw.Header().Set("Content-Length", strconv.Itoa(zipped.Len()))
			rw.Header().Set("ETag", `"strong"`)
			_, _ = rw.Write(zipped.Bytes())
		})
		for _, accept := range [][]string{nil, {"gzip"}, {"br;q=1.0, gzip;q=0.8, *;q=0.1"}, {"identity"}, {"deflate", "gzip"}, {""}} {
			req := w.request("GET", "/", nil)
			if accept != nil {
				req.Header["Accept-Encoding"] = accept
			}
			resp, body := w.send(req)
			if got := await(t, "the request", asked); !slices.Equal(got, accept) {
				t.Errorf("the server was asked for %q, want the client's own %q", got, accept)
			}
			if body != zipped.String() || resp.ContentLength != int64(zipped.Len()) {
				t.Errorf("%d bytes with Content-Length %d, want the %d of the server", len(body), resp.ContentLength, zipped.Len())
			}
			if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("ETag") != `"strong"` {
				t.Errorf("the fields are %v", resp.Header)
			}
		}
	})
}

// A body whose coding is not said is passed on as what it looks like: bytes.
func TestBytesThatLookCodedStayAsTheyAre(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		const layer = "\x1f\x8b\x08\x00 not gzip after all"
		w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/gzip")
			_, _ = rw.Write([]byte(layer))
		})
		req := w.request("GET", "/", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		if resp, body := w.send(req); body != layer || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%q, %v", body, resp.Header)
		}
	})
}
