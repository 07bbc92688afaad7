package oracle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A material is the certificates and keys that fixtures are made of.
type material struct {
	ca, otherCA, middle            *throwaway.Certificate
	a, b, c                        *throwaway.Certificate // from ca
	below                          *throwaway.Certificate // from middle
	rsa, p521, ed                  *throwaway.Certificate
	expired, future, noEKU, server *throwaway.Certificate

	pkcs1     []byte // the key of rsa, as "openssl genrsa -traditional" writes it
	sec1      []byte // the key of p521, as "openssl ecparam -genkey" writes it, the parameters first
	encrypted []byte // a key with the header of RFC 1421, as "openssl rsa -aes128" writes it
}

func newMaterial(t *testing.T) material {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	day, now := 24*time.Hour, time.Now()
	m := material{ca: throwaway.NewCA("ca"), otherCA: throwaway.NewCA("other CA")}
	issue := func(name string, o throwaway.Options) *throwaway.Certificate {
		o.Name = name
		return m.ca.Issue(o)
	}
	m.middle = issue("middle", throwaway.Options{CA: true})
	m.below = m.middle.Issue(throwaway.Options{Name: "below"})
	m.a, m.b, m.c = issue("a", throwaway.Options{}), issue("b", throwaway.Options{}), issue("c", throwaway.Options{})
	m.rsa = issue("rsa", throwaway.Options{Key: rsaKey})
	m.p521 = issue("p521", throwaway.Options{Key: p521})
	m.ed = issue("ed", throwaway.Options{Key: ed})
	m.expired = issue("expired", throwaway.Options{NotBefore: now.Add(-3 * day), NotAfter: now.Add(-2 * day)})
	m.future = issue("future", throwaway.Options{NotBefore: now.Add(2 * day), NotAfter: now.Add(3 * day)})
	m.noEKU = issue("no EKU", throwaway.Options{Usage: []x509.ExtKeyUsage{}})
	m.server = issue("server", throwaway.Options{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})

	der, err := x509.MarshalECPrivateKey(p521)
	if err != nil {
		t.Fatal(err)
	}
	secp521r1 := []byte{6, 5, 0x2b, 0x81, 4, 0, 0x23}
	m.sec1 = join(block("EC PARAMETERS", secp521r1), block("EC PRIVATE KEY", der))
	m.pkcs1 = block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	m.encrypted = pem.EncodeToMemory(&pem.Block{
		Type:    "RSA PRIVATE KEY",
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00112233445566778899AABBCCDDEEFF"},
		Bytes:   make([]byte, 64),
	})
	return m
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// withText is what "openssl x509 -text" puts before a certificate.
func withText(data []byte) []byte {
	return join([]byte("Certificate:\n    Data:\n        Version: 3 (0x2)\n        Signature Algorithm: ecdsa-with-SHA256\n"), data)
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }
func crlf(data []byte) []byte     { return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")) }
func bom(data []byte) []byte      { return join([]byte("\xef\xbb\xbf"), data) }
func garbage() []byte             { return []byte("this is no certificate\n") }
