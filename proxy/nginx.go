package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// isNginxCertificateError reports whether an answer is nginx's way of refusing a
// client certificate: its internal 495 and 496 leave as 400 with a page of its own
// (ngx_http_special_response.c). Any other 400 is about the request. HEAD has no
// page, so there the server's name and the type must do.
//
// The beginning of the page is read and put back.
func isNginxCertificateError(resp *http.Response, method string) bool {
	if resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return false
	}
	if method == http.MethodHead {
		server := strings.ToLower(resp.Header.Get("Server"))
		return strings.HasPrefix(server, "nginx") || strings.HasPrefix(server, "openresty") || strings.HasPrefix(server, "tengine")
	}
	const most = 4 << 10
	page := make([]byte, most)
	n, err := io.ReadFull(resp.Body, page)
	page = page[:n]
	rest := io.Reader(resp.Body)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		rest = errorReader{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(page), rest), resp.Body}
	return hasNginxTitle(page)
}

// hasNginxTitle looks for the title of nginx's pages about client certificates.
func hasNginxTitle(page []byte) bool {
	_, rest, ok := bytes.Cut(page, []byte("<title>400 "))
	return ok && (bytes.HasPrefix(rest, []byte("No required SSL certificate was sent</title>")) ||
		bytes.HasPrefix(rest, []byte("The SSL certificate error</title>")))
}

// An errorReader gives an error that was met while reading ahead to whoever reads
// the rest.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
