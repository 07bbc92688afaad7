package rig

import (
	"bytes"
	"fmt"
	"net/http"
)

// A bytesOf is an answer as the bytes of HTTP/1.1.
type bytesOf struct {
	header http.Header
	status int
	body   []byte
}

func (w *bytesOf) Header() http.Header    { return w.header }
func (w *bytesOf) WriteHeader(status int) { w.status = status }

func (w *bytesOf) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

func (w *bytesOf) bytes() []byte {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.header.Set("Content-Length", fmt.Sprint(len(w.body)))
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	_ = w.header.Write(&out) // to memory
	out.WriteString("\r\n")
	out.Write(w.body)
	return out.Bytes()
}
