package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// No clock is needed to see that nothing waits for more: the other side sends the
// next piece only when the one before has arrived.

var pieces = []string{"data: one\n\n", ":\n\n", "x", "data: " + strings.Repeat("four ", 20_000) + "\n\n", "the end"}

func TestEachPieceOfAnAnswerArrivesWhileTheServerHoldsTheNextBack(t *testing.T) {
	for kind, length := range map[string]int{
		"text/event-stream":        -1,
		"application/octet-stream": -1,
		"text/plain":               len(strings.Join(pieces, "")), // of a known length
	} {
		t.Run(kind, func(t *testing.T) {
			everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
				next := make(chan struct{}, 1)
				w.serve(func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", kind)
					if length >= 0 {
						rw.Header().Set("Content-Length", strconv.Itoa(length))
					}
					flush := http.NewResponseController(rw).Flush
					_ = flush() // the header is a piece of its own
					for _, piece := range pieces {
						hold(t, next)
						_, _ = io.WriteString(rw, piece)
						_ = flush()
					}
				})
				resp, err := w.client().Do(w.request("GET", "/", nil))
				if err != nil {
					t.Fatalf("the header did not come by itself: %v", err)
				}
				defer func() { _ = resp.Body.Close() }()
				for _, piece := range pieces {
					next <- struct{}{}
					got := make([]byte, len(piece))
					if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
						t.Fatalf("%.20q: %v", piece, err)
					}
				}
				if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
					t.Errorf("after the end: %q, %v", rest, err)
				}
			})
		})
	}
}

func TestEachPieceOfAnUploadArrivesWhileTheClientHoldsTheNextBack(t *testing.T) {
	for kind, length := range map[string]int{"unknown length": -1, "known length": len(strings.Join(pieces, ""))} {
		t.Run(kind, func(t *testing.T) {
			everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
				arrived := make(chan string)
				w.serve(func(_ http.ResponseWriter, req *http.Request) {
					for _, piece := range pieces {
						got := make([]byte, len(piece))
						_, err := io.ReadFull(req.Body, got)
						select {
						case arrived <- string(got) + errorText(err):
						case <-t.Context().Done():
						}
					}
				})
				pr, pw := io.Pipe()
				defer func() { _ = pw.Close() }()
				req := w.request("PUT", "/", pr)
				req.ContentLength = int64(length)
				answered := make(chan string, 1)
				client := w.client()
				go func() {
					resp, err := client.Do(req)
					if err != nil {
						answered <- err.Error()
						return
					}
					_ = resp.Body.Close()
					answered <- resp.Status
				}()
				for i, piece := range pieces {
					_, _ = io.WriteString(pw, piece)
					if i == len(pieces)-1 {
						_ = pw.Close() // Go's client looks for the end before it sends the last piece of a known length
					}
					if got := await(t, fmt.Sprintf("piece %d", i), arrived); got != piece {
						t.Fatalf("%.20q arrived, want %.20q", got, piece)
					}
				}
				if got := await(t, "the answer", answered); got != "200 OK" {
					t.Error(got)
				}
			})
		})
	}
}
