package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// name returns the common name of the client certificate a request came with.
func name(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return r.TLS.PeerCertificates[0].Subject.CommonName
}

// byName answers each pair with its status; unknown names get 200.
func byName(statuses map[string]int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if status, ok := statuses[name(r)]; ok {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, "answer for "+name(r))
	}
}

// tlsVersion limits a server to one version.
func tlsVersion(v uint16) func(*httptest.Server) {
	return func(s *httptest.Server) { s.TLS.MinVersion, s.TLS.MaxVersion = v, v }
}

// rejecting makes a server refuse the named certificates in the TLS handshake.
func rejecting(names ...string) func(*httptest.Server) {
	return func(s *httptest.Server) {
		s.TLS.ClientAuth = tls.RequireAnyClientCert
		s.TLS.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			c, err := x509.ParseCertificate(raw[0])
			if err == nil && slices.Contains(names, c.Subject.CommonName) {
				err = fmt.Errorf("%s is refused", c.Subject.CommonName) // alert 42
			}
			return err
		}
	}
}

func TestStatusesThatMoveOnToTheNextPair(t *testing.T) {
	for _, status := range []int{403, 404, 500, 502, 503, 511, 599, 495, 496, 401} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			r := newRig(t)
			host := r.server(byName(map[string]int{"a": status}))
			r.list(host, "a", "b")
			if got, body := r.get(host, "/"); got != 200 || body != "answer for b" {
				t.Errorf("%d %q", got, body)
			}
			if got, want := r.took(), []string{fmt.Sprintf("a %d", status), "b 200"}; !slices.Equal(got, want) {
				t.Errorf("attempts %v, want %v", got, want)
			}
		})
	}
}

func TestStatusesThatAreAnswersWhateverThePair(t *testing.T) {
	for _, status := range []int{200, 204, 301, 304, 307, 400, 402, 405, 407, 409, 410, 412, 416, 418, 421, 422, 429, 451} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			r := newRig(t)
			host := r.server(byName(map[string]int{"a": status}))
			r.list(host, "a", "b")
			if got, _ := r.get(host, "/"); got != status {
				t.Errorf("status %d", got)
			}
			if got := r.took(); len(got) != 1 {
				t.Errorf("attempts %v, want one", got)
			}
		})
	}
}

func TestAChallengeIsForTheClient(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	r.list(host, "a", "b")
	if got, _ := r.get(host, "/v2/"); got != 401 || len(r.took()) != 1 {
		t.Errorf("status %d, want the 401 of the first attempt", got)
	}
}

func TestAServerThatAsksForNoCertificateIsNotAskedTwice(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := newRig(t)
		host := r.server(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
			func(s *httptest.Server) { s.TLS.ClientAuth = tls.NoClientCert }, tlsVersion(version))
		r.list(host, "a", "b", "c")
		for range 3 {
			if got, _ := r.get(host, "/"); got != 404 || len(r.took()) != 1 {
				t.Errorf("%s: status %d, want 404 after one attempt", tls.VersionName(version), got)
			}
		}
	}
}

func TestATLSAlertMovesOnToTheNextPair(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(tls.VersionName(version)+" "+method, func(t *testing.T) {
				r := newRig(t)
				var body atomic.Value
				host := r.server(func(w http.ResponseWriter, req *http.Request) {
					b, _ := io.ReadAll(req.Body)
					body.Store(string(b))
					_, _ = io.WriteString(w, "answer for "+name(req))
				}, rejecting("a", "b"), tlsVersion(version))
				r.list(host, "a", "b", "c")
				sent := ""
				if method == "POST" {
					sent = strings.Repeat("x", 1000)
				}
				if got, _ := r.do(r.client(1), method, host, "/", sent); got != 200 {
					t.Errorf("status %d", got)
				}
				if body.Load() != sent {
					t.Errorf("the server got %d bytes of body, want %d", len(body.Load().(string)), len(sent))
				}
				want := []string{"a alert 42 (bad certificate)", "b alert 42 (bad certificate)", "c 200"}
				if got := r.took(); method == "GET" && !slices.Equal(got, want) {
					t.Errorf("attempts %v, want %v", got, want)
				}
				r.get(host, "/")
				if got := r.took(); method != "POST" && !slices.Equal(got, []string{"c 200"}) {
					t.Errorf("the next request took %v, want c alone", got)
				}
			})
		}
	}
}

// A TLS 1.3 server that closes with unread data loses its alert to the reset.
func TestAConnectionThatDiesBeforeAnAnswerMovesOnToTheNextPair(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if name(req) == "a" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "answer for "+name(req))
	})
	r.list(host, "a", "b")
	if got, body := r.get(host, "/"); got != 200 || body != "answer for b" {
		t.Errorf("%d %q", got, body)
	}
	if got := r.took(); len(got) != 2 || !strings.HasPrefix(got[0], "a connection closed") {
		t.Errorf("attempts %v", got)
	}
}

func TestNginxAnswers400ForACertificate(t *testing.T) {
	page := func(title string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if name(req) != "a" {
				return
			}
			w.Header().Set("Server", "nginx/1.22.1")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "<html>\r\n<head><title>400 "+title+"</title></head>\r\n<body>"+strings.Repeat(" ", 5000)+"</body>\r\n</html>\r\n")
		}
	}
	for _, test := range []struct {
		method, title string
		attempts      int
	}{
		{"GET", "No required SSL certificate was sent", 2},
		{"GET", "The SSL certificate error", 2},
		{"POST", "The SSL certificate error", 2},
		{"HEAD", "The SSL certificate error", 2},
		{"GET", "Bad Request", 1},
		{"GET", "Request Header Or Cookie Too Large", 1},
	} {
		r := newRig(t)
		host := r.server(page(test.title))
		r.list(host, "a", "b")
		got, body := r.do(r.client(1), test.method, host, "/", "")
		if n := len(r.took()); n != test.attempts {
			t.Errorf("%s %q: %d attempts, want %d", test.method, test.title, n, test.attempts)
		}
		if test.attempts == 1 && (got != 400 || len(body) < 5000 || !strings.HasSuffix(body, "</html>\r\n")) {
			t.Errorf("%q: %d with %d bytes: the page did not come through whole", test.title, got, len(body))
		}
	}
}

func TestWhenAllPairsFailTheMostTellingAnswerIsReturned(t *testing.T) {
	for _, test := range []struct {
		a, b, c int
		want    int
	}{
		{404, 403, 403, 404}, {403, 404, 500, 404}, {403, 503, 502, 503}, {500, 403, 401, 500},
		{403, 401, 403, 403}, {401, 403, 403, 401}, {496, 495, 403, 403}, {496, 495, 495, 496}, {495, 500, 404, 404},
	} {
		r := newRig(t)
		host := r.server(byName(map[string]int{"a": test.a, "b": test.b, "c": test.c}))
		r.list(host, "a", "b", "c")
		got, body := r.get(host, "/")
		if got != test.want || !strings.HasPrefix(body, "answer for ") {
			t.Errorf("%d, %d, %d: answered %d %q, want %d", test.a, test.b, test.c, got, body, test.want)
		}
		if n := len(r.took()); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
	}
}

func TestAnAnswerTellsMoreThanAnAlert(t *testing.T) {
	r := newRig(t)
	host := r.server(byName(map[string]int{"a": 404}), rejecting("b"))
	r.list(host, "a", "b")
	if got, body := r.get(host, "/"); got != 404 || body != "answer for a" {
		t.Errorf("%d %q, want a's true 404", got, body)
	}
}

func TestWhenNoPairGetsAnAnswerEachIsListedWithItsOutcome(t *testing.T) {
	r := newRig(t)
	host := r.server(byName(nil), rejecting("a", "b"))
	r.list(host, "a", "b")
	for range 2 { // the second time from memory, which must not answer by itself
		got, body := r.get(host, "/")
		if got != 502 || !strings.Contains(body, "a: alert 42 (bad certificate); b: alert 42 (bad certificate)") || !strings.Contains(body, "hint: ") {
			t.Errorf("%d %q", got, body)
		}
		if n := len(r.took()); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
	}
}

func TestASinglePairsAnswerPassesAsItIs(t *testing.T) {
	for _, status := range []int{403, 404, 500, 401, 495} {
		r := newRig(t)
		host := r.server(byName(map[string]int{"a": status}))
		r.list(host, "a")
		if got, body := r.get(host, "/"); got != status || body != "answer for a" || len(r.took()) != 1 {
			t.Errorf("%d %q, want a's %d", got, body, status)
		}
	}
}

func TestFailuresThatNoOtherPairCanHelp(t *testing.T) {
	r := newRig(t)
	other := newRig(t) // its servers are of a PKI that r does not know
	unknown := other.server(byName(nil))
	r.list(unknown, "a", "b")
	if got, body := r.get(unknown, "/"); got != 502 || !strings.Contains(body, "is not trusted") || !strings.Contains(body, ".crt file into "+r.root) {
		t.Errorf("a server that does not verify: %d %q", got, body)
	}
	r.list("localhost:1", "a", "b")
	if got, body := r.get("localhost:1", "/"); got != 502 || !strings.Contains(body, "refuses connections") {
		t.Errorf("a port that nobody listens on: %d %q", got, body)
	}
	r.list("nowhere.invalid:443", "a", "b")
	if got, body := r.get("nowhere.invalid", "/"); got != 502 && got != 504 || !strings.Contains(body, "resolve") {
		t.Errorf("a name that does not resolve: %d %q", got, body)
	}
	if got := r.took(); len(got) != 3 {
		t.Errorf("attempts %v, want one each", got)
	}
}

func TestAPairForOnePathIsTriedFirstThereOnly(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/"+name(req)+"/") {
			return
		}
		w.WriteHeader(403)
	})
	r.list(host, "a", "b")
	for _, step := range []struct {
		path string
		want []string
	}{
		{"/b/x", []string{"a 403", "b 200"}},
		{"/b/y", []string{"b 200"}},
		{"/a/x", []string{"a 200"}},
		{"/b/z", []string{"b 200"}},
	} {
		if got, _ := r.get(host, step.path); got != 200 {
			t.Errorf("%s: %d", step.path, got)
		}
		if got := r.took(); !slices.Equal(got, step.want) {
			t.Errorf("%s took %v, want %v", step.path, got, step.want)
		}
	}
	r.proxy.Reloaded()
	r.get(host, "/b/x")
	if got := r.took(); !slices.Equal(got, []string{"a 403", "b 200"}) {
		t.Errorf("after a reload took %v: the memory was not cleared", got)
	}
}

func TestASmallBodyIsSentWholeWithEachPair(t *testing.T) {
	for _, proto := range []int{1, 2} {
		for _, size := range []int{1, 1000, 512 << 10} {
			r := newRig(t)
			var mu sync.Mutex
			var bodies []string
			host := r.server(func(w http.ResponseWriter, req *http.Request) {
				b, err := io.ReadAll(req.Body)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				bodies = append(bodies, name(req)+string(b))
				mu.Unlock()
				if name(req) == "a" {
					w.WriteHeader(403)
				}
			})
			r.list(host, "a", "b")
			sent := strings.Repeat("z", size)
			if got, _ := r.do(r.client(proto), "PUT", host, "/", sent); got != 200 {
				t.Errorf("HTTP/%d, %d bytes: status %d", proto, size, got)
			}
			if !slices.Equal(bodies, []string{"a" + sent, "b" + sent}) {
				t.Errorf("HTTP/%d: the bodies are not those sent", proto)
			}
		}
	}
}

func TestAServerErrorAfterABodyIsNotRepeatedWhereItCouldActTwice(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/", "x", 1}, {"PATCH", "/", "x", 1}, {"PUT", "/v2/r/blobs/uploads/1", "x", 1},
		{"POST", "/", "", 2}, {"PUT", "/v2/r/manifests/1", "x", 2}, {"DELETE", "/", "", 2},
	} {
		r := newRig(t)
		host := r.server(byName(map[string]int{"a": 500}))
		r.list(host, "a", "b")
		got, _ := r.do(r.client(1), test.method, host, test.path, test.body)
		if n := len(r.took()); n != test.want || (got == 500) != (test.want == 1) {
			t.Errorf("%s %s: status %d after %d attempts, want %d", test.method, test.path, got, n, test.want)
		}
	}
}

func TestAnAlertWithUnsupportedSignaturesIsARejection(t *testing.T) {
	for _, code := range []uint8{40, 42, 43, 44, 45, 46, 47, 48, 49, 51, 80, 116} {
		if !rejectsCertificate(code) {
			t.Errorf("alert %d is not taken for a rejection", code)
		}
	}
	for _, code := range []uint8{0, 10, 20, 41, 50, 70, 71, 86, 90, 109, 112, 115, 120} {
		if rejectsCertificate(code) {
			t.Errorf("alert %d is taken for a rejection", code)
		}
	}
}
