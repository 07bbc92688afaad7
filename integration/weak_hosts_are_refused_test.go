package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A host that speaks only what is broken, or cannot prove who it is, gets neither a pair nor
// a request, and the client is told why.
func TestWeakHostsAreRefused(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	more := func(file string, c *throwaway.Certificate) {
		rig.Write(t, id.Dir, file+".crt", c.ChainPEM(), 0o644)
		rig.Write(t, id.Dir, file+".key", c.KeyPEM(), 0o600)
	}
	bits := func(n int) *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, n)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	now := time.Now()
	more("short", id.CA.Issue(throwaway.Options{Name: "short", Hosts: []string{name}, Key: bits(1024)}))
	more("rsa", id.CA.Issue(throwaway.Options{Name: "rsa", Hosts: []string{name}, Key: bits(2048)}))
	more("other", id.CA.Issue(throwaway.Options{Name: "other", Hosts: []string{"other.example.test"}}))
	more("expired", id.CA.Issue(throwaway.Options{Name: "expired", Hosts: []string{name}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}))
	more("stranger", throwaway.NewCA("stranger").Issue(throwaway.Options{Name: "stranger", Hosts: []string{name}}))
	rig.SHA1Signed(t, id, "sha1", name)

	const weakest = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
	const old = "protocol version"
	cases := []struct {
		name, cert string
		args       string
		says       []string // part of the 502; none is a 200
	}{
		{"TLS 1.3", "server", "-tls1_3", nil},
		{"TLS 1.2", "server", "-tls1_2", nil},
		{"TLS 1.2 with RSA", "rsa", "-tls1_2", nil},
		{"TLS 1.1", "server", "-tls1_1 -cipher " + weakest, []string{old}},
		{"TLS 1.0", "server", "-tls1 -cipher " + weakest, []string{old}},
		{"no encryption", "rsa", "-tls1_2 -cipher eNULL:@SECLEVEL=0", []string{"handshake failure"}},
		{"no server's identity", "", "-nocert -tls1_2 -cipher aNULL:@SECLEVEL=0", []string{"handshake failure"}},
		{"no forward secrecy", "rsa", "-tls1_2 -cipher kRSA:@SECLEVEL=0", []string{"handshake failure"}},
		{"an RSA key of 1024 bits", "short", "-cipher " + weakest, []string{"1024 bits", "2048"}},
		{"signed with SHA-1", "sha1", "-cipher " + weakest, []string{"SHA1"}},
		{"another name", "other", "", []string{"not trusted", "other.example.test", name}},
		{"expired", "expired", "", []string{"not trusted", "expired"}},
		{"another CA", "stranger", "", []string{"not trusted", "unknown authority"}},
	}
	certs := rig.Dir(t)
	hosts := make([]string, len(cases))
	for i, c := range cases {
		hosts[i] = hostOf(rig.OpensslServer(t, id, c.cert, strings.Fields(c.args)...))
		id.HostDir(certs, hosts[i], id.Good)
	}
	curl := rig.Curl{Proxy: rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer := curl.Do(t, "https://"+hosts[i]+"/")
			want := http.StatusOK
			if c.says != nil {
				want = http.StatusBadGateway
			}
			if answer.Status != want {
				t.Fatalf("%v, want %d", answer, want)
			}
			for _, word := range c.says {
				if !strings.Contains(string(answer.Body), word) {
					t.Errorf("the answer does not say %q:\n%s", word, answer.Body)
				}
			}
		})
	}
}

// What certproxy offers a host, as the host sees it.
func TestHostsAreOfferedNothingWeak(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	hellos := make(chan *tls.ClientHelloInfo, 10)
	server := rig.ServeTLS(t, id, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			hellos <- hello
			return nil, nil // the config itself
		},
	}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	certs := rig.Dir(t)
	host := hostOf(server)
	id.HostDir(certs, host, id.Good)
	if answer := (rig.Curl{Proxy: rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})}).Do(t, "https://"+host+"/"); answer.Status != http.StatusOK {
		t.Fatal(answer)
	}
	hello := <-hellos
	if hello.ServerName != name {
		t.Errorf("server name %q", hello.ServerName)
	}
	if !slices.Equal(hello.SupportedProtos, []string{"http/1.1"}) {
		t.Errorf("ALPN %q", hello.SupportedProtos)
	}
	if want := []uint16{tls.VersionTLS13, tls.VersionTLS12}; !slices.Equal(hello.SupportedVersions, want) {
		t.Errorf("versions %x, want %x", hello.SupportedVersions, want)
	}
	// Hosts may be old: AES-CBC stands last, for those that have nothing better.
	cbc := false
	for _, suite := range hello.CipherSuites {
		s := tls.CipherSuiteName(suite)
		forward := strings.HasPrefix(s, "TLS_ECDHE_") || strings.HasPrefix(s, "TLS_AES_") || strings.HasPrefix(s, "TLS_CHACHA20_")
		if !forward || strings.Contains(s, "RC4") || strings.Contains(s, "3DES") || strings.Contains(s, "NULL") {
			t.Errorf("suite %s (%#x)", s, suite)
		}
		if strings.HasPrefix(s, "TLS_ECDHE_") { // those of TLS 1.3 have a list of their own
			if cbc && !strings.Contains(s, "CBC") {
				t.Errorf("%s stands behind one with CBC", s)
			}
			cbc = cbc || strings.Contains(s, "CBC")
		}
	}
	for _, curve := range hello.SupportedCurves {
		if curve < tls.CurveP256 { // below are binary curves and those of less than 112 bits
			t.Errorf("curve %d", curve)
		}
	}
	for _, scheme := range hello.SignatureSchemes[:1] {
		if scheme == tls.PKCS1WithSHA1 || scheme == tls.ECDSAWithSHA1 {
			t.Errorf("the first signature scheme is %v", scheme)
		}
	}
}
