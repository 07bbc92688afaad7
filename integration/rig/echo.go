package rig

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// SubjectHeader carries the client certificate's subject from a server to the
// [Echo] behind it.
const SubjectHeader = "X-Client-Subject"

// An Echo is the plain HTTP service behind a server that checks certificates. It
// answers 200 with what it got, see [Echoed], and remembers it.
type Echo struct {
	Port int

	mu   sync.Mutex
	seen []string
}

// NewEcho starts one for the duration of the test.
func NewEcho(t testing.TB) *Echo {
	e := &Echo{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.Port = server.Listener.Addr().(*net.TCPAddr).Port
	return e
}

// Echoed is what the Echo answers to, and remembers of, a request.
func Echoed(method, path string, body []byte) string {
	return EchoedSum(method, path, sha256.Sum256(body))
}

// EchoedSum is [Echoed] of a body with this SHA-256.
func EchoedSum(method, path string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("%s %s %x\n", method, path, sum)
}

// Seen returns the requests since the last call, as [Echoed], in order.
func (e *Echo) Seen() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := e.seen
	e.seen = nil
	return seen
}

func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		return // the server in front gave up
	}
	answer := EchoedSum(r.Method, r.URL.Path, [sha256.Size]byte(sum.Sum(nil)))
	e.mu.Lock()
	e.seen = append(e.seen, answer)
	e.mu.Unlock()
	w.Header().Set(SubjectHeader, r.Header.Get(SubjectHeader))
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	io.WriteString(w, answer)
}
