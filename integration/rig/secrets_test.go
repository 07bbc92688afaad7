package rig

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
)

// Whatever way a private key slips into a text, in whole or in part, it is found; and
// what is public of it is not.
func TestSecretsFindsPrivateKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := ecKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey)
	for _, c := range []struct {
		name    string
		key     any
		public  any
		private []byte // a part that only the owner knows
		older   []byte // an encoding from before PKCS #8
	}{
		{"RSA", rsaKey, rsaKey.Public(), rsaKey.Primes[0].Bytes(), pkcs1},
		{"ECDSA", ecKey, ecKey.Public(), scalar, sec1},
		{"Ed25519", edKey, public, edKey.Seed(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(c.key)
			if err != nil {
				t.Fatal(err)
			}
			file := Write(t, Dir(t), "client.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
			secrets := NewSecrets()
			secrets.AddKeysBelow(file)

			// The lines of a PEM file, which differ from the whole in base64 by their ends.
			lines := strings.Split(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: der}))), "\n")
			body := strings.Join(lines[1:len(lines)-1], "\n")
			leaks := map[string]string{
				"as it is":              string(der),
				"the private part":      string(c.private),
				"16 bytes of it":        string(c.private[5:21]),
				"base64":                base64.StdEncoding.EncodeToString(der),
				"base64 for URLs":       base64.RawURLEncoding.EncodeToString(der),
				"the lines of a file":   body,
				"quoted, with \\n":      fmt.Sprintf("%q", body),
				"hex":                   hex.EncodeToString(c.private),
				"%X":                    fmt.Sprintf("%X", c.private),
				"%v of bytes":           fmt.Sprint(c.private),
				"%v of a number":        new(big.Int).SetBytes(c.private).String(),
				"%v of the key":         fmt.Sprintf("%v", c.key),
				"JSON of bytes":         asJSON(t, map[string]any{"key": c.private}),
				"an older form":         base64.StdEncoding.EncodeToString(c.older),
				"a line of a long text": strings.Repeat("INFO request served ", 1000) + hex.EncodeToString(c.private) + strings.Repeat(" and so on", 1000),
			}
			if c.older == nil {
				delete(leaks, "an older form")
			}
			for name, leak := range leaks {
				if found := secrets.In("before " + leak + " after"); len(found) == 0 {
					t.Errorf("%s: not found", name)
				}
			}

			spki, err := x509.MarshalPKIXPublicKey(c.public)
			if err != nil {
				t.Fatal(err)
			}
			for name, harmless := range map[string]string{
				"the public key":       string(spki),
				"the public key's hex": hex.EncodeToString(spki),
				"the public key's PEM": base64.StdEncoding.EncodeToString(spki),
				"15 bytes":             string(c.private[5:20]),
				"its name":             file,
			} {
				if found := secrets.In("before " + harmless + " after"); len(found) > 0 {
					t.Errorf("%s: taken for a secret: %q", name, found)
				}
			}
		})
	}
}

// What clients send is found in a log line, in a URL and in Basic credentials.
func TestSecretsFindsWhatClientsSend(t *testing.T) {
	secrets := Marked()
	for name, leak := range map[string]string{
		"a field":           "Authorization: Bearer " + MarkAuthorization,
		"a cookie":          asJSON(t, map[string]any{"msg": "request served", "cookie": "session=" + MarkCookie}),
		"a query":           "GET https://registry.example/v2/?access_token=" + MarkQuery + "&n=1",
		"an escaped query":  url.QueryEscape("/v2/?access_token=" + MarkQuery),
		"Basic credentials": "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+MarkPassword)),
		"the half of one":   MarkAuthorization[:len(MarkAuthorization)/2+2],
		"a key by its name": "-----BEGIN EC PRIVATE KEY-----",
	} {
		if found := secrets.In(leak); len(found) == 0 {
			t.Errorf("%s: not found in %q", name, leak)
		}
	}
	if found := secrets.In(`{"msg":"request served","path":"/v2/","authorization":"REDACTED"}`); len(found) > 0 {
		t.Errorf("found in a text without: %q", found)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
