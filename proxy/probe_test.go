package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// probe asks a listed host with each pair.
func (r *rig) probe(authority string, timeout time.Duration) ([]Probed, int) {
	r.t.Helper()
	h, ok := r.store.Lookup(authority)
	if !ok {
		h = &certs.Host{Name: authority}
	}
	config := Config{Index: r.store, Leaves: &testLeaves{ca: r.leaves}, SystemRoots: x509.NewCertPool()}
	list, chosen, err := Probe(r.t.Context(), config, h, ProbeRequest{Method: http.MethodGet, Path: "/v2/", Timeout: timeout})
	if err != nil {
		r.t.Fatal(err)
	}
	return list, chosen
}

func outcomes(list []Probed) []string {
	var out []string
	for _, p := range list {
		name := "-"
		if p.Pair != nil {
			name = p.Pair.Name
		}
		out = append(out, name+" "+p.Verdict+" "+p.Outcome)
	}
	return out
}

// byPair answers each pair with a status of its own.
func byPair(statuses map[string]int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(statuses[req.TLS.PeerCertificates[0].Subject.CommonName])
	}
}

func TestAProbeAsksOnceWithEachPairAndChoosesAsTheProxyDoes(t *testing.T) {
	for _, test := range []struct {
		name     string
		statuses map[string]int
		want     []string
		chosen   int
	}{
		{"the first success", map[string]int{"a": 403, "b": 200, "c": 200}, []string{"a refused 403", "b accepted 200", "c accepted 200"}, 1},
		{"the most telling", map[string]int{"a": 403, "b": 500, "c": 404}, []string{"a refused 403", "b refused 500", "c refused 404"}, 2},
		{"the first of equals", map[string]int{"a": 403, "b": 403, "c": 403}, []string{"a refused 403", "b refused 403", "c refused 403"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			var asked atomic.Int32
			host := r.server(func(w http.ResponseWriter, req *http.Request) {
				asked.Add(1)
				byPair(test.statuses)(w, req)
			})
			r.list(host, "a", "b", "c")
			list, chosen := r.probe(host, 10*time.Second)
			if got := outcomes(list); !slices.Equal(got, test.want) || chosen != test.chosen {
				t.Errorf("%q, chosen %d; want %q and %d", got, chosen, test.want, test.chosen)
			}
			if asked.Load() != 3 {
				t.Errorf("the server was asked %d times", asked.Load())
			}
			status, _ := r.get(host, "/v2/")
			if got := list[chosen].Answer.StatusCode; got != status {
				t.Errorf("the proxy answers %d, and the probe says %d", status, got)
			}
		})
	}
}

func TestAProbeSeesWhatTheServerShowsAndAsksFor(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Test", "yes")
		_, _ = io.WriteString(w, strings.Repeat("x", 2*maxProbeBody))
	}, func(s *httptest.Server) {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, r.pki.Pool()
	})
	r.list(host, "a")
	throwaway.NewCA("other").Issue(throwaway.Options{Name: "z"}).WritePair(r.root+"/"+host, "z")
	r.reload()
	list, chosen := r.probe(host, 10*time.Second)
	if len(list) != 2 || chosen != 0 {
		t.Fatalf("%q, chosen %d", outcomes(list), chosen)
	}
	good, bad := list[0], list[1]
	if good.TLS.Version != tls.VersionTLS13 || good.Addr == nil || len(good.Peer) != 1 || len(good.TLS.VerifiedChains) != 1 {
		t.Errorf("TLS %x with %v, %d certificates, %d chains", good.TLS.Version, good.Addr, len(good.Peer), len(good.TLS.VerifiedChains))
	}
	if good.Requested == nil || len(good.Requested.AcceptableCAs) != 1 || string(good.Requested.AcceptableCAs[0]) != string(r.pki.X509.RawSubject) {
		t.Errorf("it asks for %+v", good.Requested)
	}
	if good.Answer.Header.Get("X-Test") != "yes" || len(good.Body) != maxProbeBody || good.Alert != -1 || good.Refusal != nil {
		t.Errorf("answer %v, %d bytes, alert %d, refusal %v", good.Answer.Header, len(good.Body), good.Alert, good.Refusal)
	}
	if bad.Verdict != "rejected" || bad.Alert != 48 || bad.Answer != nil || bad.Requested == nil || bad.Refusal != nil {
		t.Errorf("of the other: %+v", bad)
	}
}

func TestAProbeThatNoPairSurvivesChoosesNone(t *testing.T) {
	r := newRig(t)
	host := r.server(byPair(nil), func(s *httptest.Server) {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, throwaway.NewCA("other").Pool()
	})
	r.list(host, "a", "b")
	if list, chosen := r.probe(host, 10*time.Second); chosen != -1 || len(list) != 2 {
		t.Errorf("%q, chosen %d", outcomes(list), chosen)
	}
}

// Where no other pair could help, none is asked: a server that hangs would make each
// of them wait.
func TestAProbeEndsWhereNoOtherPairCouldHelp(t *testing.T) {
	r := newRig(t)
	untrusted := r.server(byPair(nil), func(s *httptest.Server) {
		s.TLS.Certificates = []tls.Certificate{throwaway.NewCA("other").Issue(throwaway.Options{Hosts: []string{"localhost"}}).TLS()}
	})
	hanging := r.server(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	_, port, _ := net.SplitHostPort(mute.Addr().String())
	for _, test := range []struct{ host, kind string }{
		{untrusted, "tls_certificate_error"},
		{hanging, "http_response_timeout"},
		{"localhost:" + port, "connection_timeout"},
	} {
		r.list(test.host, "a", "b")
		began := time.Now()
		list, chosen := r.probe(test.host, 200*time.Millisecond)
		if len(list) != 1 || chosen != 0 || list[0].Refusal == nil || list[0].Refusal.Kind != test.kind {
			t.Errorf("%q, chosen %d, %+v; want %s", outcomes(list), chosen, list[0].Refusal, test.kind)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if test.host == untrusted && len(list[0].Peer) != 1 {
			t.Errorf("the certificate that was not believed is not shown: %d", len(list[0].Peer))
		}
	}
}

func TestAProbeWithoutADirectoryPresentsNothing(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if len(req.TLS.PeerCertificates) > 0 {
			t.Error("a certificate was presented")
		}
	})
	config := Config{Index: r.store, Leaves: &testLeaves{ca: r.leaves}, SystemRoots: r.pki.Pool()}
	list, chosen, err := Probe(t.Context(), config, &certs.Host{Name: host}, ProbeRequest{Method: http.MethodHead, Path: "/", Timeout: 10 * time.Second})
	if err != nil || chosen != 0 || list[0].Outcome != "200" || list[0].Requested == nil || list[0].Pair != nil {
		t.Errorf("%q, chosen %d, %v", outcomes(list), chosen, err)
	}
}
