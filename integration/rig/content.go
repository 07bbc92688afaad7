package rig

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// PairHeader names, in the answer of an [Honest] host, the certificate that it was
// asked with.
const PairHeader = "X-Pair"

// sumHeader is the SHA-256 of the body that the host got.
const sumHeader = "X-Sum"

// Content is what a path stands for: the client that asks for it knows what it has to
// get without asking the host.
func Content(seed uint64, size int) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	data := make([]byte, size)
	rand.NewChaCha8(key).Read(data)
	return data
}

// asked returns what a path of /SEED/SIZE stands for.
func asked(path string) ([]byte, error) {
	var seed uint64
	var size int
	if _, err := fmt.Sscanf(path, "/%d/%d", &seed, &size); err != nil || size < 0 || size > 1<<30 {
		return nil, fmt.Errorf("the path %q stands for no content", path)
	}
	return Content(seed, size), nil
}

// Honestly answers a request with its content, the digest of its body, and the name of
// its certificate.
func Honestly(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		return // it never came whole
	}
	content, err := asked(r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.Header().Set(PairHeader, r.TLS.PeerCertificates[0].Subject.CommonName)
	w.Header().Set(sumHeader, fmt.Sprintf("%x", sum.Sum(nil)))
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}

// A Question is one request whose answer is known.
type Question struct {
	Seed     uint64
	Up, Down int // bytes of the bodies
}

// A Reply is what became of a question.
type Reply struct {
	Took   time.Duration
	Failed string // an honest failure: a status, or an error; empty for none
	Wrong  string // what must never be: wrong bytes, or another identity
}

// Ask asks a host, which has to be answered under this pair.
func Ask(client *http.Client, host, pair string, q Question) Reply {
	began := time.Now()
	failed, wrong := ask(client, host, pair, q)
	return Reply{time.Since(began), failed, wrong}
}

func ask(client *http.Client, host, pair string, q Question) (failed, wrong string) {
	method, up := http.MethodGet, Content(q.Seed+1, q.Up)
	if q.Up > 0 {
		method = http.MethodPut
	}
	request, err := http.NewRequest(method, fmt.Sprintf("https://%s/%d/%d", host, q.Seed, q.Down), bytes.NewReader(up))
	if err != nil {
		return err.Error(), ""
	}
	request.GetBody = nil // the client must not make good what the proxy lost
	answer, err := client.Do(request)
	if err != nil {
		return err.Error(), ""
	}
	defer answer.Body.Close()
	down, err := io.ReadAll(answer.Body)
	switch want := Content(q.Seed, q.Down); {
	case answer.StatusCode != http.StatusOK:
		return fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSpace(string(down[:min(len(down), 300)]))), ""
	case answer.Header.Get(PairHeader) != pair:
		return "", fmt.Sprintf("%s was answered under %q instead of %q", host, answer.Header.Get(PairHeader), pair)
	case !bytes.HasPrefix(want, down):
		return "", fmt.Sprintf("%s sent %d bytes that are not those asked for", host, len(down))
	case err != nil:
		return "broken off: " + err.Error(), ""
	case len(down) != len(want):
		return "", fmt.Sprintf("%s sent %d bytes of %d as if they were all", host, len(down), len(want))
	case q.Up > 0 && answer.Header.Get(sumHeader) != fmt.Sprintf("%x", sha256.Sum256(up)):
		return "", fmt.Sprintf("%s got another body than was sent", host)
	}
	return "", ""
}

// An Honest host is a server in the tests' own process that answers only to the pair
// Good, with what can be checked.
type Honest struct {
	*Server
	Name string // of the host; it has to resolve for certproxy
	Pair string // under which it has to be answered
}

// ServeHonest starts one. Its pair is of its own, and no other host accepts it.
func ServeHonest(t testing.TB, name string) *Honest {
	t.Helper()
	id := NewIdentities(t, name)
	pair := "pair of " + name
	id.Good = id.CA.Issue(options(pair))
	return &Honest{Server: ServeTLS(t, id, requireCertificate(), http.HandlerFunc(Honestly)), Name: name, Pair: pair}
}

// Host is its authority.
func (h *Honest) Host() string { return fmt.Sprintf("%s:%d", h.Name, h.Port) }
