package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A gatedBody gives its bytes only once it is opened.
type gatedBody struct {
	gate chan struct{}
	src  io.Reader
}

func (g *gatedBody) Read(p []byte) (int, error) {
	<-g.gate
	return g.src.Read(p)
}

// The client gives its body only when the good pair's request has come, so no
// attempt before can have read any of it.
func TestTheBodyIsReadOnlyWhenAPairIsWanted(t *testing.T) {
	for _, proto := range []int{1, 2} {
		for _, length := range []int64{9, -1} {
			r := newRig(t)
			body := &gatedBody{gate: make(chan struct{}), src: strings.NewReader("the bytes")}
			host := r.server(func(w http.ResponseWriter, req *http.Request) {
				if name(req) != "c" {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				close(body.gate)
				b, _ := io.ReadAll(req.Body)
				_, _ = w.Write(b)
			}, rejecting("a"))
			r.list(host, "a", "b", "c")
			if got, answer := r.upload(r.client(proto), "POST", host, "/", body, length); got != 200 || answer != "the bytes" {
				t.Errorf("HTTP/%d, length %d: %d %q", proto, length, got, answer)
			}
			if got := r.took(); !slices.Equal(got, []string{"a alert 42 (bad certificate)", "b 403", "c 200"}) {
				t.Errorf("HTTP/%d, length %d: attempts %v", proto, length, got)
			}
		}
	}
}

// expectations starts a server that notes the Expect of each request.
func (r *rig) expectations(change ...func(*httptest.Server)) (host string, seen func() []string) {
	var mu sync.Mutex
	var got []string
	host = r.server(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, req.Header.Get("Expect"))
	}, change...)
	return host, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func TestAProvenConnectionGetsTheBodyAtOnce(t *testing.T) {
	r := newRig(t)
	host, seen := r.expectations()
	r.list(host, "a", "b")
	for range 3 {
		r.upload(r.client(1), "POST", host, "/", strings.NewReader("x"), 1)
	}
	if got := seen(); !slices.Equal(got, []string{"100-continue", "", ""}) {
		t.Errorf("the server was sent Expect %q", got)
	}
}

func TestASinglePairIsSentWithoutAnExpectOfOurs(t *testing.T) {
	r := newRig(t)
	host, seen := r.expectations()
	r.list(host, "a")
	r.upload(r.client(1), "POST", host, "/", strings.NewReader("x"), 1)
	if got := seen(); !slices.Equal(got, []string{""}) {
		t.Errorf("the server was sent Expect %q", got)
	}
}

func TestAServerThatDoesNotKnowExpectGetsTheBodyAllTheSame(t *testing.T) {
	r := newRig(t)
	host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
		br := bufio.NewReader(c)
		req := header(br)
		if req == nil {
			return
		}
		body, _ := io.ReadAll(req.Body) // sends no 100
		say(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+string(body))
	})
	r.list(host, "a", "b")
	if got, answer := r.upload(r.client(1), "POST", host, "/", strings.NewReader("x"), 1); got != 200 || answer != "x" {
		t.Errorf("%d %q", got, answer)
	}
}

func TestAServerThatRefusesOurExpectIsAskedWithoutIt(t *testing.T) {
	r := newRig(t)
	host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
		br := bufio.NewReader(c)
		for {
			req := header(br)
			if req == nil {
				return
			}
			if req.Header.Get("Expect") != "" {
				say(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
				return
			}
			body, _ := io.ReadAll(req.Body)
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+string(body))
		}
	})
	r.list(host, "a", "b")
	if got, answer := r.upload(r.client(1), "POST", host, "/", strings.NewReader("x"), 1); got != 200 || answer != "x" {
		t.Errorf("%d %q", got, answer)
	}
	if got := r.took(); !slices.Equal(got, []string{"a 417", "a 200"}) {
		t.Errorf("attempts %v", got)
	}
	r.reload() // new connections, and what was learnt about Expect stays with the host
	r.upload(r.client(1), "POST", host, "/", strings.NewReader("y"), 1)
	if got := r.took(); !slices.Equal(got, []string{"a 200"}) {
		t.Errorf("the next request took %v", got)
	}
}

// The client's own Expect is the client's: a 417 to it is an answer.
func TestA417ToTheClientsOwnExpectIsTheClients(t *testing.T) {
	r := newRig(t)
	host := r.raw(func(_ testing.TB, c *tls.Conn, _ string) {
		br := bufio.NewReader(c)
		if header(br) != nil {
			say(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
		}
	})
	r.list(host, "a", "b")
	conn, br := r.secure(host, "localhost")
	say(conn, "POST / HTTP/1.1\r\nHost: "+host+"\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusExpectationFailed {
		t.Fatalf("%v, %v", resp, err)
	}
	if got := r.took(); !slices.Equal(got, []string{"a 417"}) {
		t.Errorf("attempts %v", got)
	}
}

// A server may answer while the client is still sending, and the client be slow: the
// answer reaches it, and the request ends without waiting for its body.
func TestAnAnswerBeforeTheBodysEndReachesTheClient(t *testing.T) {
	for _, proto := range []int{1, 2} {
		for _, pairs := range [][]string{{"a"}, {"a", "b"}} {
			r := newRig(t)
			host := r.server(func(w http.ResponseWriter, req *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex() // else it reads on before it answers
				_, _ = io.ReadFull(req.Body, make([]byte, 5))
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			})
			r.list(host, pairs...)
			pr, pw := io.Pipe()
			go func() { _, _ = io.WriteString(pw, "begin") }() // and nothing more
			if got, _ := r.upload(r.client(proto), "POST", host, "/", pr, -1); got != http.StatusRequestEntityTooLarge {
				t.Errorf("HTTP/%d, pairs %v: %d", proto, pairs, got)
			}
			r.logged("request served") // it has ended
			_ = pw.Close()
		}
	}
}
