package http1

import (
	"net/http"
	"strings"
)

// endChunks writes the last chunk and the trailers: those announced, and those marked
// by [http.TrailerPrefix].
func (w *response) endChunks() {
	bw := w.c.bw
	_, _ = bw.WriteString("0\r\n")
	trailers := http.Header{}
	for _, list := range w.header["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values := w.header[name]; len(values) > 0 {
				trailers[name] = values
			}
		}
	}
	for k, values := range w.header {
		if name, ok := strings.CutPrefix(k, http.TrailerPrefix); ok {
			trailers[http.CanonicalHeaderKey(name)] = values
		}
	}
	for k := range trailers {
		if isFraming(k) {
			delete(trailers, k)
		}
	}
	_ = trailers.Write(bw)
	_, _ = bw.WriteString("\r\n")
}

// without returns the keys that do not go into the header, or nil: those that stand for
// trailers, and framing in an interim answer (RFC 9110 section 8.6).
func (w *response) without(status int) map[string]bool {
	var keys map[string]bool
	for k := range w.header {
		if strings.HasPrefix(k, http.TrailerPrefix) || status < 200 && isFraming(k) {
			if keys == nil {
				keys = map[string]bool{}
			}
			keys[k] = true
		}
	}
	return keys
}
