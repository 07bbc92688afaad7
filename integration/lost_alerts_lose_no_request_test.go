package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Beside nothing else: it moves gigabytes.
//
// A server of TLS 1.3 refuses a certificate after the handshake, while the request
// is on its way: with 8 MiB under way the alert is often lost to a reset. Yet no
// request fails, and each arrives behind the server once and whole, though all of
// them meet two pairs that are refused first.
func TestAlertsLostToResetsLoseNoRequest(t *testing.T) {
	const requests = 64 // for each server: 8 for each of eight kinds
	body := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{3}).Read(body)
	sum := sha256.Sum256(body)
	for _, server := range []struct {
		name  string
		start func(testing.TB, *rig.Identities, string) *rig.Server
	}{
		{"nginx", rig.NginxRequire},
		{"apache", rig.ApacheRequire},
		{"haproxy", rig.HAProxyRequire},
		{"go", goRequire},
	} {
		t.Run(server.name, func(t *testing.T) {
			s := server.start(t, rig.NewIdentities(t, name), "1.3")
			load := newUploads(t, s)
			var want []string
			inParallel(requests, func(i int) {
				u := uploadKind(i)
				got, err := load.send(u, "https://"+hostOf(s)+u.path, body)
				expected := rig.EchoedSum(u.method, u.path, sum)
				if err != nil || got.status != 200 || got.subject != "good" || got.body != expected {
					t.Errorf("%s: %v, %v; want 200 as good", u, got, err)
				}
			})
			for i := range requests {
				u := uploadKind(i)
				want = append(want, rig.EchoedSum(u.method, u.path, sum))
			}
			seen := s.Echo.Seen()
			slices.Sort(seen)
			slices.Sort(want)
			if !slices.Equal(seen, want) {
				t.Errorf("behind the server arrived %d requests; want each of %d once and whole; too many or broken: %q, missing: %q",
					len(seen), len(want), without(seen, want), without(want, seen))
			}
			load.metAllPairs(t)
		})
	}
	t.Run("docker-registry", func(t *testing.T) {
		s := rig.Registry(t, rig.NewIdentities(t, name), "1.3")
		load := newUploads(t, s)
		digest := fmt.Sprintf("sha256:%x", sum)
		inParallel(requests, func(i int) {
			u := uploadKind(i)
			if err := load.uploadBlob(u, "https://"+hostOf(s)+"/v2/some/blobs/uploads/", body, digest); err != nil {
				t.Errorf("%s: %v", u, err)
			}
		})
		if stored := s.Stored(t); len(stored) != 1 || stored[digest] != int64(len(body)) {
			t.Errorf("the registry has the blobs %v; want %s", stored, digest)
		}
		load.metAllPairs(t)
	})
}

// goRequire is a Go server that requires a certificate, with what an Echo answers.
func goRequire(t testing.TB, id *rig.Identities, version string) *rig.Server {
	echo := rig.NewEcho(t)
	s := rig.ServeTLS(t, id, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set(rig.SubjectHeader, r.TLS.PeerCertificates[0].Subject.CommonName)
			echo.ServeHTTP(w, r)
		}))
	s.Echo, s.TLS = echo, version
	return s
}

// An upload is one way to send a body.
type upload struct {
	method, path string
	h2, chunked  bool // of unknown length
}

func uploadKind(i int) upload {
	u := upload{method: "PUT", h2: i&2 != 0, chunked: i&4 != 0}
	if i&1 != 0 {
		u.method = "POST"
	}
	u.path = fmt.Sprintf("/%d", i)
	return u
}

func (u upload) String() string {
	return fmt.Sprintf("%s %s, over HTTP/2: %t, of unknown length: %t", u.method, u.path, u.h2, u.chunked)
}

// uploads go through a certproxy whose pairs are expired, wrong and good, and that
// remembers nothing of them.
type uploads struct {
	proxy  *rig.Certproxy
	h1, h2 *http.Client
}

func newUploads(t *testing.T, s *rig.Server) *uploads {
	t.Helper()
	for _, bad := range []string{"expired", "wrong"} {
		curl := s.Direct()
		curl.Pair = s.Pair(bad)
		if got := curl.Do(t, "https://"+hostOf(s)+"/"); got.Status == 200 {
			t.Errorf("without certproxy the pair %s gets %v; want a refusal", bad, got)
		}
	}
	if s.Echo != nil {
		s.Echo.Seen()
	}
	certs := rig.Dir(t)
	s.HostDir(certs, hostOf(s), s.Expired, s.Wrong, s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Config: "pair_memory: 0\n"})
	return &uploads{proxy, proxy.Client(t), proxy.ClientH2(t)}
}

// An uploaded is the answer to an upload.
type uploaded struct {
	status        int
	subject, body string
	header        http.Header
}

func (u *uploads) send(kind upload, url string, body []byte) (uploaded, error) {
	request, err := http.NewRequest(kind.method, url, bytes.NewReader(body))
	if err != nil {
		return uploaded{}, err
	}
	request.GetBody = nil // the client must not make good what the proxy lost
	if kind.chunked {
		request.ContentLength = -1
	}
	client := u.h1
	if kind.h2 {
		client = u.h2
	}
	answer, err := client.Do(request)
	if err != nil {
		return uploaded{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	subject := strings.TrimPrefix(answer.Header.Get(rig.SubjectHeader), "CN=")
	return uploaded{answer.StatusCode, subject, string(text), answer.Header}, err
}

// uploadBlob uploads a blob as the distribution specification has it: all of it
// with the PUT that ends the upload, or, where a POST would carry it elsewhere, with
// a PATCH before. The registry compares it with its digest.
func (u *uploads) uploadBlob(kind upload, url string, body []byte, digest string) error {
	begun, err := u.sendFor(http.StatusAccepted, upload{method: "POST", h2: kind.h2}, url, nil)
	if err != nil {
		return err
	}
	location := begun.header.Get("Location")
	if kind.method == "POST" {
		kind.method = "PATCH"
		sent, err := u.sendFor(http.StatusAccepted, kind, location, body)
		if err != nil {
			return err
		}
		if got, want := sent.header.Get("Range"), fmt.Sprintf("0-%d", len(body)-1); got != want {
			return fmt.Errorf("the registry has the bytes %s of the upload; want %s", got, want)
		}
		location, body, kind.chunked = sent.header.Get("Location"), nil, false
	}
	kind.method = "PUT"
	_, err = u.sendFor(http.StatusCreated, kind, location+"&digest="+digest, body)
	return err
}

// sendFor is send with only one status being right.
func (u *uploads) sendFor(status int, kind upload, url string, body []byte) (uploaded, error) {
	got, err := u.send(kind, url, body)
	if err == nil && got.status != status {
		err = fmt.Errorf("%s answered %d %.300q; want %d", kind.method, got.status, got.body, status)
	}
	return got, err
}

// metAllPairs shows that the requests were what the test is about.
func (u *uploads) metAllPairs(t *testing.T) {
	t.Helper()
	served := u.proxy.Lines("request served")
	lost := map[string]int{}
	for _, l := range u.proxy.Lines("attempt failed") {
		lost[l.Text("pair")+": "+l.Text("outcome")]++
	}
	few := 0
	for _, l := range served {
		if l.Number("attempts") < 3 {
			few++
		}
	}
	t.Logf("%d requests; before each was served failed %v", len(served), lost)
	if few > 0 {
		t.Errorf("%d of %d requests were served by the first or second attempt, so that they met no refusal", few, len(served))
	}
}

// inParallel calls do with 0 to n-1, four at once.
func inParallel(n int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// without returns the elements of a that are not in b, as often as they are too many.
func without(a, b []string) []string {
	count := map[string]int{}
	for _, s := range b {
		count[s]++
	}
	var rest []string
	for _, s := range a {
		if count[s]--; count[s] < 0 {
			rest = append(rest, s)
		}
	}
	return rest
}
