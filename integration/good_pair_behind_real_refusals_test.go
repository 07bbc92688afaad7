package integration

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// name is what certproxy alone can resolve.
const name = "registry.example.test"

// A refusal is how a server answers a client without certproxy: a status, or a
// TLS alert in the words of crypto/tls.
type refusal struct {
	status int
	alert  string
}

// nginx refuses by its 400, Apache, HAProxy and docker-registry by alerts. Behind
// each, an expired pair and one of another CA come before the good one.
func TestGoodPairIsReachedBehindRealRefusals(t *testing.T) {
	t.Parallel()
	bad := refusal{status: 400}
	proxies := []struct {
		server               string
		start                func(testing.TB, *rig.Identities, string) *rig.Server
		none, expired, wrong refusal // TLS 1.3
		none12               refusal
	}{
		{"nginx", rig.NginxRequire, bad, bad, bad, bad},
		{"apache", rig.ApacheRequire, refusal{alert: "certificate required"}, refusal{alert: "expired certificate"},
			refusal{alert: "unknown certificate authority"}, refusal{alert: "handshake failure"}},
		{"haproxy", rig.HAProxyRequire, refusal{alert: "certificate required"}, refusal{alert: "expired certificate"},
			refusal{alert: "unknown certificate authority"}, refusal{alert: "handshake failure"}},
	}
	for _, p := range proxies {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(p.server+"/TLS "+version, func(t *testing.T) {
				t.Parallel()
				s := p.start(t, rig.NewIdentities(t, name), version)
				none := p.none
				if version == "1.2" {
					none = p.none12
				}
				showRefusals(t, s, "/", none, p.expired, p.wrong)
				throughProxy(t, s)
			})
		}
	}
}

// showRefusals shows what each pair gets from the server without certproxy.
func showRefusals(t *testing.T, s *rig.Server, path string, none, expired, wrong refusal) {
	t.Helper()
	url := fmt.Sprintf("https://%s:%d%s", name, s.Port, path)
	for _, c := range []struct {
		pair string
		cert *throwaway.Certificate
		want refusal
	}{
		{"", nil, none},
		{"expired", s.Expired, expired},
		{"wrong", s.Wrong, wrong},
		{"good", s.Good, refusal{status: 200}},
	} {
		if c.want.alert != "" {
			if got := s.Alert(t, s.Port, c.cert); !strings.Contains(got, c.want.alert) {
				t.Errorf("pair %q without certproxy: %q; want the alert %q", c.pair, got, c.want.alert)
			}
			continue
		}
		curl := s.Direct()
		if c.pair != "" {
			curl.Pair = s.Pair(c.pair)
		}
		if got := curl.Do(t, url); got.Status != c.want.status {
			t.Errorf("pair %q without certproxy: %v; want %d", c.pair, got, c.want.status)
		}
	}
	if s.Echo != nil {
		if seen := s.Echo.Seen(); len(seen) != 1 {
			t.Errorf("behind the server arrived %q; want the good pair's request only", seen)
		}
	}
}

// throughProxy sends requests with and without a body over HTTP/1.1 and HTTP/2:
// each arrives behind the server once, whole, as the good identity.
func throughProxy(t *testing.T, s *rig.Server) {
	t.Helper()
	certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", name, s.Port)
	s.HostDir(certs, host, s.Expired, s.Wrong, s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})

	body := "a small body, sent once"
	for _, http := range []struct{ flag, version string }{{"--http1.1", "1.1"}, {"--http2", "2"}} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST"} {
			what := method + " over HTTP/" + http.version
			curl := rig.Curl{Proxy: proxy, Args: []string{http.flag}}
			sent := ""
			switch method {
			case "HEAD":
				curl.Args = append(curl.Args, "--head")
			case "PUT", "POST":
				sent = body
				curl.Args = append(curl.Args, "--request", method, "--data-binary", body)
			}
			path := "/" + strings.ToLower(method) + http.version
			s.Echo.Seen()
			got := curl.Do(t, "https://"+host+path)
			if got.Status != 200 || got.Version != http.version {
				t.Errorf("%s: %v", what, got)
				continue
			}
			if subject := got.Header.Get(rig.SubjectHeader); strings.TrimPrefix(subject, "CN=") != "good" {
				t.Errorf("%s: the server saw %q; want the good pair", what, subject)
			}
			want := rig.Echoed(method, path, []byte(sent))
			if seen := s.Echo.Seen(); len(seen) != 1 || seen[0] != want {
				t.Errorf("%s: behind the server arrived %q; want %q once", what, seen, want)
			}
			if length := got.Header.Get("Content-Length"); length != fmt.Sprint(len(want)) {
				t.Errorf("%s: Content-Length %q; want %d", what, length, len(want))
			}
			if method != "HEAD" && string(got.Body) != want {
				t.Errorf("%s: answered %q; want %q", what, got.Body, want)
			}
		}
	}
}

// The registry ends the handshake itself: distribution's clientcas.
func TestGoodPairIsReachedBehindDockerRegistry(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "1.3"} {
		t.Run("TLS from "+version, func(t *testing.T) {
			t.Parallel()
			s := rig.Registry(t, rig.NewIdentities(t, name), version)
			refused := refusal{alert: "bad certificate"}
			showRefusals(t, s, "/v2/", refused, refused, refused)

			certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", name, s.Port)
			s.HostDir(certs, host, s.Expired, s.Wrong, s.Good)
			proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
			for _, http := range []struct{ flag, version string }{{"--http1.1", "1.1"}, {"--http2", "2"}} {
				blob := []byte("a blob over HTTP/" + http.version)
				digest := fmt.Sprintf("sha256:%x", sha256.Sum256(blob))
				curl := rig.Curl{Proxy: proxy, Args: []string{http.flag}}
				ask := func(want int, url string, args ...string) rig.Answer {
					got := curl.Do(t, url, args...)
					if got.Status != want || got.Version != http.version {
						t.Fatalf("%s %q: %v; want %d", url, args, got, want)
					}
					return got
				}
				base := "https://" + host
				ask(200, base+"/v2/")
				ask(200, base+"/v2/", "--head")
				upload := ask(202, base+"/v2/some/blobs/uploads/", "--request", "POST", "--data-binary", "").Header.Get("Location")
				ask(201, upload+"&digest="+digest, "--request", "PUT", "--header", "Content-Type: application/octet-stream", "--data-binary", string(blob))
				if got := ask(200, base+"/v2/some/blobs/"+digest); string(got.Body) != string(blob) {
					t.Errorf("the blob came back as %q", got)
				}
				ask(404, base+"/v2/some/blobs/sha256:"+strings.Repeat("0", 64), "--head")
			}
		})
	}
}
