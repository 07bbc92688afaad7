package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A key that can be factored proves nothing, wherever it is in the chain.
func TestAHostWithAnRSAKeyThatIsTooShortIsNotTrusted(t *testing.T) {
	short := rsaKey(t, 1024)
	for _, c := range []struct {
		name    string
		present func(r *rig) *throwaway.Certificate
		want    int
	}{
		{"its own key", func(r *rig) *throwaway.Certificate {
			return r.pki.Issue(throwaway.Options{Name: "short", Hosts: []string{"localhost"}, Key: short})
		}, 502},
		{"an intermediate's", func(r *rig) *throwaway.Certificate {
			between := r.pki.Issue(throwaway.Options{Name: "short", CA: true, Usage: nil, Key: short})
			return between.Issue(throwaway.Options{Name: "leaf", Hosts: []string{"localhost"}})
		}, 502},
		{"2048 bits", func(r *rig) *throwaway.Certificate {
			return r.pki.Issue(throwaway.Options{Name: "long", Hosts: []string{"localhost"}, Key: rsaKey(t, 2048)})
		}, 200},
		{"P-256", func(r *rig) *throwaway.Certificate {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return r.pki.Issue(throwaway.Options{Name: "curve", Hosts: []string{"localhost"}, Key: key})
		}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			host := r.server(func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) {
				s.TLS.Certificates = []tls.Certificate{c.present(r).TLS()}
			})
			r.list(host, "a")
			got, body := r.get(host, "/")
			if got != c.want {
				t.Errorf("%d %q, want %d", got, body, c.want)
			}
			if got == http.StatusBadGateway {
				for _, word := range []string{"short", "1024 bits", "2048"} {
					if !strings.Contains(body, word) {
						t.Errorf("the answer does not say %q: %s", word, body)
					}
				}
			}
		})
	}
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What the tls.Config says is what clients are shown: integration/ has testssl.sh and
// sslscan look at it.
func TestClientsAreOfferedNoCipherSuiteWithoutAEAD(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	for _, c := range []struct {
		suite uint16
		ok    bool
	}{
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true},
		{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
	} {
		conn, _, _ := r.connect(host)
		err := tls.Client(conn, &tls.Config{
			ServerName: "localhost", RootCAs: r.leaves.Pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{c.suite},
		}).HandshakeContext(t.Context())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", tls.CipherSuiteName(c.suite), err)
		}
	}
}
