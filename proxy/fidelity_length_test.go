package proxy

import (
	"strings"
	"testing"
)

// How an answer ends is a matter of one leg; that it is whole is not.
func TestAnAnswerOfUnknownLengthIsWholeForEveryClient(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8192)
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		for kind, answer := range map[string]string{
			"until the end of the connection": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n" + long,
			"of HTTP/1.0":                     "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + long,
			"chunked":                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n20000\r\n" + long + "\r\n0\r\n\r\n",
		} {
			w.serve(verbatim(answer))
			resp, body := w.send(w.request("GET", "/", nil))
			if resp.StatusCode != 200 || body != long {
				t.Errorf("%s: %s with %d of %d bytes", kind, resp.Status, len(body), len(long))
			}
			chunked := len(resp.TransferEncoding) == 1 && resp.TransferEncoding[0] == "chunked"
			if resp.Header.Get("Content-Length") != "" || chunked != (w.proto == proto11) {
				t.Errorf("%s: Content-Length %q, chunked %v", kind, resp.Header.Get("Content-Length"), chunked)
			}
		}
	})
}

func TestAnAnswerOfKnownLengthKeepsItsLength(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		long := strings.Repeat("x", 200_000)
		w.serve(verbatim("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nContent-Type: text/plain\r\n\r\n" + long))
		resp, body := w.send(w.request("GET", "/", nil))
		if body != long || resp.Header.Get("Content-Length") != "200000" || len(resp.TransferEncoding) > 0 {
			t.Errorf("%d bytes, Content-Length %q, coded %v", len(body), resp.Header.Get("Content-Length"), resp.TransferEncoding)
		}
	})
}
