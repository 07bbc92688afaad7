package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// An arrival is a request as the server saw it.
type arrival struct {
	method, body string
	length       int64
	chunked      bool
	fields       http.Header
	host         string
	err          error
}

// receiving tells the test of what arrives.
func receiving(arrived chan<- arrival) http.HandlerFunc {
	return func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		arrived <- arrival{
			method: req.Method, body: string(body), length: req.ContentLength, fields: req.Header, host: req.Host, err: err,
			chunked: len(req.TransferEncoding) == 1 && req.TransferEncoding[0] == "chunked",
		}
	}
}

func TestAnUploadOfUnknownLengthArrivesWholeAndChunked(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		for _, size := range []int{1, 4096, 65_537, 900_000} {
			arrived := make(chan arrival, 1)
			w.serve(receiving(arrived))
			sent := make([]byte, size)
			_, _ = rand.NewChaCha8([32]byte{}).Read(sent)
			if resp, _ := w.send(w.request("PATCH", "/v2/x/blobs/uploads/1", io.MultiReader(bytes.NewReader(sent)))); resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			got := await(t, "the request", arrived)
			if got.body != string(sent) || got.err != nil || got.length != -1 || !got.chunked {
				t.Errorf("%d bytes: %d arrived, %v; length %d, chunked %v", size, len(got.body), got.err, got.length, got.chunked)
			}
		}
	})
}

func TestAnUploadOfKnownLengthKeepsItsLength(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		for _, sent := range []string{"", "x", strings.Repeat("known", 100_000)} {
			arrived := make(chan arrival, 1)
			w.serve(receiving(arrived))
			if resp, _ := w.send(w.request("PUT", "/", strings.NewReader(sent))); resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			got := await(t, "the request", arrived)
			if got.body != sent || got.err != nil || got.fields.Get("Content-Length") != fmt.Sprint(len(sent)) || got.chunked {
				t.Errorf("%d bytes: %d arrived, %v; Content-Length %q, chunked %v", len(sent), len(got.body), got.err, got.fields.Get("Content-Length"), got.chunked)
			}
		}
	})
}

// Any method may have a body: search engines take queries in that of a GET.
func TestABodyStaysWithItsMethod(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		for _, method := range []string{"GET", "DELETE", "REPORT", "OPTIONS"} {
			w.send(w.request(method, "/", strings.NewReader("a query")))
			if got := await(t, "the request", arrived); got.method != method || got.body != "a query" || got.length != 7 || got.err != nil {
				t.Errorf("%s: %+v", method, got)
			}
		}
	})
}

func TestChunksOfAnyFormAreOneBody(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for chunks, want := range map[string]string{
			"0\r\n\r\n": "",
			"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n":                  "abc",
			"3;name=value\r\nabc\r\n00D\r\ndefghijklmnop\r\n0\r\n\r\n": "abcdefghijklmnop",
			"5\r\n\r\n\r\n\x00\r\n0\r\n\r\n":                           "\r\n\r\n\x00",
		} {
			arrived := make(chan arrival, 1)
			w.serve(receiving(arrived))
			conn, br := w.secure(w.host, "localhost")
			_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: "+w.host+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)
			answerTo(t, br, "PUT")
			if got := await(t, "the request", arrived); got.body != want || got.err != nil {
				t.Errorf("%q arrived as %q, %v", chunks, got.body, got.err)
			}
		}
	})
}
