package oracle

import (
	"bytes"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// caRoots are directories for the *.crt files in them.
func caRoots(m material) []fixture {
	ca, other := m.ca.CertPEM(), m.otherCA.CertPEM()
	headers := bytes.Replace(ca, []byte("-----\n"), []byte("-----\nX-Comment: none\n\n"), 1)
	return []fixture{
		{name: "only a CA root", tree: tree{"ca.crt": file(ca)}, roots: 1},
		{name: "several CA roots", tree: tree{"a.crt": file(ca), "b.crt": file(other), "c.crt": file(m.middle.CertPEM())}, roots: 3},
		{name: "a bundle of CA roots", tree: tree{"ca.crt": file(join(ca, other, m.middle.CertPEM()))}, roots: 3},
		{name: "the same CA root twice in a file and again in another", tree: tree{"a.crt": file(join(ca, ca)), "b.crt": file(ca)}, roots: 1},
		{name: "garbage beside a CA root", tree: tree{"a.crt": file(garbage()), "b.crt": file(ca)}, roots: 1},
		{name: "only garbage", tree: tree{"a.crt": file(garbage())}},
		{name: "garbage as CA root beside a pair", tree: pair(m.a, "client").and(tree{"a.crt": file(garbage())}), pairs: "client"},
		{name: "garbage between the blocks of a bundle", tree: tree{"a.crt": file(join(garbage(), ca, garbage(), other, garbage()))}, roots: 2},
		{name: "an empty CA root", tree: tree{"a.crt": file(nil)}},
		{name: "half a CA root", tree: tree{"a.crt": file(ca[:len(ca)/2]), "b.crt": file(other)}, roots: 1},
		{name: "a block that is no certificate inside", tree: tree{"a.crt": file(join(block("CERTIFICATE", []byte("no ASN.1")), ca))}, roots: 1},
		{name: "other blocks beside a CA root", tree: tree{"a.crt": file(join(m.ca.KeyPEM(), ca, block("TRUSTED CERTIFICATE", m.otherCA.X509.Raw)))}, roots: 1},
		{name: "a CA root with PEM headers", tree: tree{"a.crt": file(join(headers, other))}, roots: 1},
		{name: "a CA root in DER", tree: tree{"a.crt": file(m.ca.X509.Raw)}},
		{name: "text before a CA root", tree: tree{"a.crt": file(withText(ca))}, roots: 1},
		{name: "a CA root with CRLF", tree: tree{"a.crt": file(crlf(join(ca, other)))}, roots: 2},
		{name: "a CA root without its last line end", tree: tree{"a.crt": file(bytes.TrimSpace(ca))}, roots: 1},
		{name: "a CA root behind a BOM", tree: tree{"a.crt": file(bom(ca))}, roots: 1},
		{name: "a BOM before text and a CA root", tree: tree{"a.crt": file(bom(withText(ca)))}, roots: 1},
		{name: "a CA root that is no CA", tree: tree{"a.crt": file(m.a.CertPEM())}, roots: 1},
		{name: "an expired CA root", tree: tree{"a.crt": file(m.expired.CertPEM())}, roots: 1},
		{name: "a CA bundle of 2 MiB", tree: tree{"a.crt": file(join(ca, bytes.Repeat([]byte("# a comment\n"), 2<<20/12), other))}, roots: 2},
	}
}

// encodings are directories with one pair in each form that keys and chains have.
func encodings(m material) []fixture {
	one := func(name string, c *throwaway.Certificate, cert, key []byte) fixture {
		return fixture{name: name, tree: tree{c.X509.Subject.CommonName + ".cert": file(cert), c.X509.Subject.CommonName + ".key": file(key)},
			pairs: c.X509.Subject.CommonName}
	}
	plain := func(c *throwaway.Certificate) fixture {
		return one("identity: "+c.X509.Subject.CommonName, c, c.ChainPEM(), c.KeyPEM())
	}
	cert, key := m.a.CertPEM(), m.a.KeyPEM()
	return []fixture{
		plain(m.rsa), plain(m.p521), plain(m.ed), plain(m.below),
		plain(m.expired), plain(m.future), plain(m.noEKU), plain(m.server),
		one("PKCS#1", m.rsa, m.rsa.CertPEM(), m.pkcs1),
		one("SEC 1 behind its parameters", m.p521, m.p521.CertPEM(), m.sec1),
		one("text before the certificate", m.a, withText(cert), key),
		one("text before each certificate of a chain", m.below, join(withText(m.below.CertPEM()), withText(m.middle.CertPEM())), m.below.KeyPEM()),
		one("CRLF", m.a, crlf(cert), crlf(key)),
		one("a BOM before text", m.a, bom(withText(cert)), key),
		one("no last line end", m.a, bytes.TrimSpace(cert), bytes.TrimSpace(key)),
		one("the leaf without its intermediate", m.below, m.below.CertPEM(), m.below.KeyPEM()),
		one("the chain up to the root", m.below, join(m.below.ChainPEM(), m.ca.CertPEM()), m.below.KeyPEM()),
		one("a chain that is none", m.below, join(m.below.CertPEM(), m.otherCA.CertPEM()), m.below.KeyPEM()),
		one("a chain that ends in no certificate", m.a, join(cert, block("CERTIFICATE", []byte("no ASN.1"))), key),
		one("the leaf twice", m.a, join(cert, cert), key),
		one("the key in both files", m.a, join(key, cert), key),
		one("the certificate in both files", m.a, cert, join(cert, key)),
		one("another key behind the key", m.a, cert, join(key, m.b.KeyPEM())),
		one("an encrypted block of another kind before the key", m.a, cert, join(bytes.ReplaceAll(m.encrypted, []byte("RSA PRIVATE KEY"), []byte("PKCS7")), key)),
	}
}
