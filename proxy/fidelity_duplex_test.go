package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// As an RPC over a stream does: the answer begins before the request has ended.
func TestAnAnswerAndAnUploadMayTakeTurns(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			c := http.NewResponseController(rw)
			_ = c.EnableFullDuplex()
			_ = c.Flush()
			b := make([]byte, 1)
			for {
				if _, err := req.Body.Read(b); err != nil {
					return
				}
				_, _ = rw.Write(b)
				_ = c.Flush()
			}
		})
		pr, pw := io.Pipe()
		defer func() { _ = pw.Close() }()
		defer giveUp(pw).Stop()
		go func() { _, _ = pw.Write([]byte("a")) }()
		resp, err := w.client().Do(w.request("POST", "/", pr))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		for _, next := range []byte("bcd\x00") {
			b := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, b); err != nil || b[0] != next-1 && next != 0 {
				t.Fatalf("%q came back, %v", b, err)
			}
			if next != 0 {
				_, _ = pw.Write([]byte{next})
			}
		}
		_ = pw.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
	})
}

// A server that has seen enough does not wait for the rest, nor does the client.
func TestAnAnswerToHalfAnUploadArrivesWhateverItsLength(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		for _, length := range []int64{-1, 1 << 10, 1 << 30} {
			w.serve(func(rw http.ResponseWriter, req *http.Request) {
				_, _ = io.ReadFull(req.Body, make([]byte, 4))
				rw.Header().Set("Connection", "close")
				rw.WriteHeader(http.StatusRequestEntityTooLarge)
			})
			pr, pw := io.Pipe()
			guard := giveUp(pw)
			go func() { _, _ = io.WriteString(pw, "half") }()
			req := w.request("PUT", "/", pr)
			req.ContentLength = length
			resp, err := w.client().Do(req)
			if err != nil {
				t.Errorf("length %d: %v", length, err)
			} else if _ = resp.Body.Close(); resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("length %d: %s", length, resp.Status)
			}
			guard.Stop()
			_ = pw.Close()
		}
	})
}

// giveUp breaks an upload off that hangs, or its client would hang with it.
func giveUp(upload *io.PipeWriter) *time.Timer {
	return time.AfterFunc(10*time.Second, func() { _ = upload.CloseWithError(io.ErrUnexpectedEOF) })
}
