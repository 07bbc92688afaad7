package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A script is a connection on which everything was said beforehand.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)     { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)    { return s.out.Write(p) }
func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// A seen is a request as a handler saw it.
type seen struct {
	Method, URI, Host, Proto string
	Header, Trailer          http.Header
	Length                   int64
	Coding                   []string
	Body                     string
	Broken                   bool
}

func see(r *http.Request) seen {
	header := r.Header.Clone()
	b, err := io.ReadAll(r.Body)
	s := seen{r.Method, r.RequestURI, r.Host, r.Proto, header, r.Trailer.Clone(), r.ContentLength, slices.Clone(r.TransferEncoding), string(b), err != nil}
	if len(s.Trailer) == 0 {
		s.Trailer = nil
	}
	return s
}

// servedHere returns what this package serves.
func servedHere(in []byte) (all []seen) {
	s := newServer(func(_ http.ResponseWriter, r *http.Request) { all = append(all, see(r)) })
	s.Panicked = func(v any) { panic(v) }
	s.Go(context.Background(), &script{in: bytes.NewReader(in)})
	s.wait.Wait()
	return all
}

// servedThere returns the first requests that http.Server serves. It does not wait for
// that to end, for it lingers.
func servedThere(in []byte, most int) (all []seen) {
	requests, ended := make(chan seen, len(in)), make(chan struct{})
	s := &http.Server{
		Handler:                      http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- see(r) }),
		DisableGeneralOptionsHandler: true,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(ended)
			}
		},
	}
	l := &failing{conns: make(chan net.Conn, 1), fatal: true}
	l.conns <- &script{in: bytes.NewReader(in)}
	_ = s.Serve(l) // ends when it has the connection
	for len(all) < most {
		select {
		case r := <-requests:
			all = append(all, r)
		case <-ended:
			for len(all) < most && len(requests) > 0 {
				all = append(all, <-requests)
			}
			return all
		}
	}
	return all
}

// A strict reading of a request, made without net/http.
type strict struct {
	method, target, version string
	fields                  int // without Host and those of the framing
	body                    string
	broken                  bool // its body has no end
	behindEmptyLine         bool
}

// read takes one request off the bytes. It reports false where there is none.
func (s *strict) read(b string) (rest string, ok bool) {
	for strings.HasPrefix(b, "\r\n") {
		b, s.behindEmptyLine = b[2:], true
	}
	header, rest, ok := strings.Cut(b, "\r\n\r\n")
	if !ok {
		return "", false
	}
	lines := strings.Split(header, "\r\n")
	first := strings.Split(lines[0], " ")
	if strings.ContainsAny(strings.ReplaceAll(header, "\r\n", ""), "\r\n\x00") || len(first) != 3 {
		return "", false
	}
	s.method, s.target, s.version = first[0], first[1], first[2]
	length, inChunks, trailer := 0, false, 0
	for _, field := range lines[1:] {
		name, value, ok := strings.Cut(field, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return "", false
		}
		var err error
		switch s.fields++; strings.ToLower(name) {
		case "host":
			s.fields--
		case "trailer":
			trailer++
		case "transfer-encoding":
			s.fields--
			inChunks = strings.EqualFold(strings.Trim(value, " \t"), "chunked")
		case "content-length":
			if length, err = strconv.Atoi(strings.Trim(value, " \t")); err != nil {
				return "", false
			}
		}
	}
	if inChunks {
		s.fields -= trailer
		return s.readChunks(rest)
	}
	s.broken = length > len(rest)
	length = min(length, len(rest))
	s.body = rest[:length]
	return rest[length:], true
}

func (s *strict) readChunks(b string) (rest string, ok bool) {
	for {
		line, rest, ok := strings.Cut(b, "\r\n")
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
		if s.broken = true; !ok || err != nil || strings.ContainsAny(line, "\r\n") {
			return "", true
		}
		if size == 0 {
			for {
				line, rest, ok = strings.Cut(rest, "\r\n")
				if !ok || strings.ContainsAny(line, "\r\n") {
					return "", true
				}
				if line == "" {
					s.broken = false
					return rest, true
				}
			}
		}
		if uint64(len(rest)) < size+2 || rest[size:size+2] != "\r\n" {
			return "", true
		}
		s.body += rest[:size]
		b = rest[size+2:]
	}
}

// Whatever the bytes are: nothing panics; what is served is what a strict reading of
// RFC 9112 finds, each request where the one before ends; and http.Server would serve
// the same.
func FuzzWhatIsServedCanBeReadInOneWay(f *testing.F) {
	for _, table := range [][]hostile{framing, lines} {
		for _, test := range table {
			if len(test.bytes) < 8<<10 {
				f.Add([]byte(test.bytes + smuggled))
			}
		}
	}
	for _, in := range []string{
		get + get, head("Content-Length: 4") + "body" + get, chunkedBody("4;x\r\nbody\r\n0\r\nX: a\r\n\r\n") + get,
		"GET /a?b HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\nCookie: a\r\nCookie: b\r\n\r\n" + get, expecting + "body", "\r\n" + get,
		"POST / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n1" + get,
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		here := servedHere(in)
		if len(here) == 0 {
			return
		}
		rest, comparable := string(in), len(here)
		for i, got := range here {
			var want strict
			var ok bool
			if rest, ok = want.read(rest); !ok {
				t.Fatalf("request %d is none: %+v", i, got)
			}
			fields := 0
			for _, values := range got.Header {
				fields += len(values)
			}
			if got.Method != want.method || got.URI != want.target || got.Proto != want.version || fields != want.fields {
				t.Errorf("request %d: %+v with %d fields, want %+v", i, got, fields, want)
			}
			if !got.Broken && (got.Body != want.body || want.broken) {
				t.Errorf("request %d: the body %q, want %q, broken %v", i, got.Body, want.body, want.broken)
			}
			if want.behindEmptyLine {
				comparable = min(comparable, i) // http.Server passes over one behind a POST only
			}
		}
		there := servedThere(in, comparable)
		for i, got := range here[:comparable] {
			if i == len(there) {
				t.Fatalf("http.Server does not serve request %d: %+v", i, got)
			}
			want := there[i]
			if got.Header["Pragma"] != nil && got.Header["Cache-Control"] == nil {
				delete(want.Header, "Cache-Control") // it is made up
			}
			if got.Broken { // it is laxer with trailers
				got.Body, got.Broken, got.Trailer, want.Body, want.Broken, want.Trailer = "", false, nil, "", false, nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("request %d: %+v, http.Server has %+v", i, got, want)
			}
		}
	})
}
