//go:build unix

package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestKeysAreNeverPrinted(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	brought := throwaway.SelfSigned(throwaway.Options{Name: "brought", CA: true, Key: edKey, Usage: []x509.ExtKeyUsage{}})
	made := newTestCA(t, Options{})
	for name, test := range map[string]struct {
		ca     *CA
		secret []byte
	}{
		"made, ECDSA":      {made, must(made.key.(*ecdsa.PrivateKey).Bytes())},
		"leaf key":         {made, must(made.leafKey.Bytes())},
		"brought, Ed25519": {must(Load(bringCA(t, brought))), edKey.Seed()},
	} {
		t.Run(name, func(t *testing.T) {
			must(test.ca.Leaf("registry.example"))
			wrapped := struct{ CA *CA }{test.ca}
			var out bytes.Buffer
			for _, v := range []any{test.ca, *test.ca, &test.ca, []*CA{test.ca}, wrapped, map[string]CA{"": *test.ca}} {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
					_, _ = fmt.Fprintf(&out, verb+"\n", v)
				}
				text, err := json.Marshal(v)
				_, _ = fmt.Fprintln(&out, string(text), err)
			}
			for _, form := range forms(test.secret) {
				if strings.Contains(strings.ToLower(out.String()), strings.ToLower(form)) {
					t.Errorf("printed: %s", form)
				}
			}
			if want := test.ca.Fingerprint(); !strings.Contains(fmt.Sprint(test.ca), want) {
				t.Errorf("%%v = %v, want its fingerprint", test.ca)
			}
		})
	}
}

// TestErrorsShowNoKey breaks a key in every place and looks for the rest of it.
func TestErrorsShowNoKey(t *testing.T) {
	certPEM, keyPEM := contents(t, newTestCA(t, Options{}).dir)
	for i := 0; i < len(keyPEM); i += 3 {
		broken := bytes.Clone(keyPEM)
		broken[i] ^= 0x15
		// A key in the place of the certificate, and the reverse, are mistakes too.
		for _, dir := range []string{bring(t, certPEM, broken), bring(t, broken, broken), bring(t, certPEM, keyPEM[:i])} {
			_, err := Load(dir)
			if err == nil {
				continue
			}
			text := strings.ReplaceAll(err.Error(), filepath.Dir(dir), "")
			for line := range strings.Lines(string(keyPEM)) {
				for j := 0; j+12 <= len(line) && !strings.Contains(line, "-----"); j++ {
					if strings.Contains(text, line[j:j+12]) {
						t.Fatalf("error %q quotes the key", text)
					}
				}
			}
		}
	}
}

// forms are the ways in which fmt and JSON write bytes.
func forms(secret []byte) []string {
	bytesOf := strings.Trim(fmt.Sprint(secret), "[]")
	return []string{
		string(secret),
		hex.EncodeToString(secret),
		bytesOf,
		strings.ReplaceAll(bytesOf, " ", ","),
		strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte"), "{}"),
		base64.StdEncoding.EncodeToString(secret[:len(secret)/3*3]),
		strings.Trim(fmt.Sprintf("%q", secret), `"`),
	}
}
