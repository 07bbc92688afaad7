package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever a page is and however it comes, looking at it changes none of its bytes,
// and the verdict is that of its first 4 KiB.
func FuzzNginx400(f *testing.F) {
	f.Add([]byte("<html>\r\n<head><title>400 The SSL certificate error</title></head>\r\n"), "text/html", false, false)
	f.Add([]byte("<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n"), "text/html; charset=utf-8", true, false)
	f.Add([]byte(`{"errors":[{"code":"NAME_INVALID"}]}`), "application/json", true, true)
	f.Add([]byte("<title>400 <title>400 The SSL certificate error</title>"), "text/html", false, true)
	f.Fuzz(func(t *testing.T, page []byte, contentType string, slow, broken bool) {
		src := io.Reader(bytes.NewReader(page))
		if slow {
			src = iotest.OneByteReader(src)
		}
		end := io.EOF
		if broken {
			end = io.ErrUnexpectedEOF
			src = io.MultiReader(src, iotest.ErrReader(end))
		}
		resp := &http.Response{StatusCode: 400, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(src)}
		got := isNginxCertificateError(resp, http.MethodGet)
		rest, err := io.ReadAll(resp.Body)
		if !bytes.Equal(rest, page) || broken != (err != nil) {
			t.Fatalf("%d bytes and %v came out of %d and %v", len(rest), err, len(page), end)
		}
		head := string(page[:min(len(page), 4<<10)])
		_, title, _ := strings.Cut(head, "<title>400 ")
		want := strings.HasPrefix(contentType, "text/html") &&
			(strings.HasPrefix(title, "No required SSL certificate was sent</title>") || strings.HasPrefix(title, "The SSL certificate error</title>"))
		if got != want {
			t.Errorf("%v for %q of type %q", got, page, contentType)
		}
	})
}
