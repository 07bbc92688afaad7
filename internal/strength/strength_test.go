package strength

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestOneChainWithoutAShortKeyIsEnough(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long := throwaway.NewCA("long").X509
	short := throwaway.SelfSigned(throwaway.Options{Name: "short", Key: key}).X509
	for _, c := range []struct {
		name   string
		chains [][]*x509.Certificate
		ok     bool
	}{
		{"long", [][]*x509.Certificate{{long}}, true},
		{"short at the end", [][]*x509.Certificate{{long, short}}, false},
		{"another way", [][]*x509.Certificate{{long, short}, {long, long}}, true},
		{"nothing verified, so nothing to judge", nil, true},
	} {
		err := Peer(tls.ConnectionState{VerifiedChains: c.chains})
		if _, ok := errors.AsType[*ShortKeyError](err); ok == c.ok || err != nil && !ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestEverySuiteIsOneTheStandardLibraryCallsSecure(t *testing.T) {
	secure := map[uint16]bool{}
	for _, s := range tls.CipherSuites() {
		secure[s.ID] = true
	}
	for _, id := range CipherSuites() {
		if !secure[id] {
			t.Errorf("%s is not among tls.CipherSuites", tls.CipherSuiteName(id))
		}
	}
}
