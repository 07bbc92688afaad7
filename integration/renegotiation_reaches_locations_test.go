package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Apache with SSLVerifyClient in a <Location>, of which Docker's documentation says
// that it does not work, asks for the certificate by renegotiation. With
// `renegotiation: true` for the host it gets the good pair, also behind bad ones.
func TestRenegotiationReachesApacheLocations(t *testing.T) {
	t.Parallel()
	for versions, tls := range map[string]string{"TLS 1.2 and 1.3": "", "TLS 1.2": "1.2"} {
		t.Run(versions, func(t *testing.T) {
			t.Parallel()
			s := apacheLocation(t, tls)
			for _, c := range []struct {
				name  string
				pairs []*throwaway.Certificate
			}{
				{"the good pair alone", []*throwaway.Certificate{s.Good}},
				{"the good pair behind bad ones", []*throwaway.Certificate{s.Expired, s.Wrong, s.Good}},
			} {
				t.Run(c.name, func(t *testing.T) {
					certs := rig.Dir(t)
					s.HostDir(certs, hostOf(s), c.pairs...)
					proxy := rig.Serve(t, rig.Options{
						Certs: certs, Names: []string{name},
						Config: fmt.Sprintf("hosts:\n  %q:\n    renegotiation: true\n", hostOf(s)),
					})
					secretAsGood(t, s, proxy)
				})
			}
		})
	}
}

// Where the setting is missing, whoever is refused learns its name: from the log,
// as TLS 1.3 ends in a 403 of Apache's, and from the 502 for TLS 1.2.
func TestMissingRenegotiationIsNamed(t *testing.T) {
	t.Parallel()
	const setting = "renegotiation: true"
	for _, c := range []struct {
		versions, tls string
		status        int
	}{{"TLS 1.2 and 1.3", "", 403}, {"TLS 1.2", "1.2", 502}} {
		t.Run(c.versions, func(t *testing.T) {
			t.Parallel()
			s := apacheLocation(t, c.tls)
			certs := rig.Dir(t)
			s.HostDir(certs, hostOf(s), s.Good)
			proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
			if got := (rig.Curl{Proxy: proxy}).Do(t, "https://"+hostOf(s)+"/open"); got.Status != 200 {
				t.Errorf("GET /open: %v; want 200", got)
			}
			got := rig.Curl{Proxy: proxy}.Do(t, "https://"+hostOf(s)+"/secret")
			if got.Status != c.status {
				t.Errorf("GET /secret: %v; want %d", got, c.status)
			}
			if c.status == 502 && !strings.Contains(string(got.Body), setting) {
				t.Errorf("the answer is %q; want one that names %q", got.Body, setting)
			}
			proxy.WaitLine(t, "", func(l rig.Line) bool { return strings.Contains(l.Text("hint"), setting) })
		})
	}
}

// apacheLocation starts the server and shows whom it lets in without certproxy.
func apacheLocation(t *testing.T, tls string) *rig.Server {
	t.Helper()
	s := rig.ApacheLocation(t, rig.NewIdentities(t, name), tls)
	if got := s.Direct().Do(t, "https://"+hostOf(s)+"/open"); got.Status != 200 {
		t.Errorf("GET /open without a certificate and certproxy: %v; want 200", got)
	}
	good := s.Direct()
	good.Pair = s.Pair("good")
	if got := good.Do(t, "https://"+hostOf(s)+"/secret"); got.Status != 200 || got.Header.Get(rig.SubjectHeader) != "good" {
		t.Errorf("GET /secret with the good pair, without certproxy: %v; want 200 as good", got)
	}
	for _, pair := range []string{"", "expired", "wrong"} {
		curl := s.Direct()
		if pair != "" {
			curl.Pair = s.Pair(pair)
		}
		if got := curl.Do(t, "https://"+hostOf(s)+"/secret"); got.Status == 200 {
			t.Errorf("GET /secret with the pair %q, without certproxy: %v; want a refusal", pair, got)
		}
	}
	s.Echo.Seen()
	return s
}

// secretAsGood sends requests that make the server ask for the certificate: each
// arrives behind it once, whole, as the good identity.
func secretAsGood(t *testing.T, s *rig.Server, proxy *rig.Certproxy) {
	t.Helper()
	for _, http := range []string{"--http1.1", "--http2"} {
		for _, method := range []string{"GET", "POST"} {
			body, args := "", []string{http, "--request", method}
			if method == "POST" {
				body = "a small body, sent once"
				args = append(args, "--data-binary", body)
			}
			got := rig.Curl{Proxy: proxy, Args: args}.Do(t, "https://"+hostOf(s)+"/secret")
			if subject := got.Header.Get(rig.SubjectHeader); got.Status != 200 || subject != "good" {
				t.Errorf("%s %s /secret: %v as %q; want 200 as good", http, method, got, subject)
			}
			want := rig.Echoed(method, "/secret", []byte(body))
			if seen := s.Echo.Seen(); len(seen) != 1 || seen[0] != want {
				t.Errorf("%s %s /secret: behind the server arrived %q; want %q once", http, method, seen, want)
			}
		}
	}
	if got := (rig.Curl{Proxy: proxy}).Do(t, "https://"+hostOf(s)+"/open"); got.Status != 200 {
		t.Errorf("GET /open: %v; want 200", got)
	}
	s.Echo.Seen()
}
