package oracle

import "encoding/pem"

// refusals are directories that an oracle refuses whole. certproxy skips what is
// wrong, reports it, and serves the pair "good" that lies beside. ("A bad pair is
// skipped and reported; the others serve.")
func refusals(m material) []fixture {
	cert, key := m.a.CertPEM(), m.a.KeyPEM()
	beside := func(name string, bad tree) fixture {
		return fixture{name: name + " beside a good pair", refuse: both, pairs: "good",
			tree: pair(m.b, "good").and(bad).and(tree{"ca.crt": file(m.ca.CertPEM())}), roots: 1}
	}
	bad := func(cert, key []byte) tree { return tree{"bad.cert": file(cert), "bad.key": file(key)} }
	return []fixture{
		{name: "a missing key", tree: tree{"bad.cert": file(cert)}, refuse: both},
		{name: "a missing certificate", tree: tree{"bad.key": file(key)}, refuse: both},
		{name: "a mismatch", tree: bad(cert, m.c.KeyPEM()), refuse: both},
		beside("a missing key", tree{"bad.cert": file(cert)}),
		beside("a missing key behind", tree{"later.cert": file(cert)}),
		beside("a missing certificate", tree{"bad.key": file(key)}),
		beside("a certificate named .crt", tree{"bad.crt.cert": file(cert), "bad.key": file(key)}),
		beside("a mismatch", bad(cert, m.c.KeyPEM())),
		beside("a mismatch of kinds", bad(cert, m.pkcs1)),
		beside("an encrypted key", bad(cert, m.encrypted)),
		beside("an encrypted PKCS#8 key", bad(cert, block("ENCRYPTED PRIVATE KEY", []byte("x")))),
		beside("an encrypted key before the key", bad(cert, join(m.encrypted, key))),
		beside("a certificate in DER", bad(m.a.X509.Raw, key)),
		beside("a key in DER", bad(cert, der(key))),
		beside("an empty certificate", bad(nil, key)),
		beside("an empty key", bad(cert, nil)),
		beside("half a certificate", bad(cert[:len(cert)/2], key)),
		beside("half a key", bad(cert, key[:len(key)/2])),
		beside("garbage", bad(garbage(), garbage())),
		beside("certificate and key swapped", bad(key, cert)),
		beside("the intermediate before the leaf", bad(join(m.middle.CertPEM(), m.below.CertPEM()), m.below.KeyPEM())),
		{name: "a BOM before certificate and key", tree: bad(bom(cert), bom(key)), refuse: both, pairs: "bad", fine: true},
		{name: "the key in the certificate's file alone", tree: tree{"client.cert": file(join(cert, key))}, refuse: both, pairs: "client", fine: true},
		{name: "the names of a Kubernetes secret", tree: tree{"tls.crt": file(cert), "tls.key": file(key), "ca.crt": file(m.ca.CertPEM())}, refuse: both, roots: 1},
	}
}

func der(data []byte) []byte {
	first, _ := pem.Decode(data)
	return first.Bytes
}

// permissions are read by a user who is not root.
func permissions(m material) []fixture {
	open := func(data []byte) node { return fileMode(data, 0o644) }
	cert, key, ca := m.a.CertPEM(), m.a.KeyPEM(), m.ca.CertPEM()
	good := tree{"good.cert": open(m.b.CertPEM()), "good.key": open(m.b.KeyPEM())}
	return []fixture{
		{name: "all readable", tree: good.and(tree{"ca.crt": open(ca)}), pairs: "good", roots: 1, user: true},
		{name: "an unreadable key", tree: good.and(tree{"bad.cert": open(cert), "bad.key": fileMode(key, 0)}), refuse: both, pairs: "good", user: true},
		{name: "an unreadable certificate", tree: good.and(tree{"bad.cert": fileMode(cert, 0), "bad.key": open(key)}), refuse: both, pairs: "good", user: true},
		{name: "an unreadable CA root", tree: good.and(tree{"bad.crt": fileMode(ca, 0), "ok.crt": open(ca)}), refuse: both, pairs: "good", roots: 1, user: true},
		{name: "an unreadable directory", tree: good.and(tree{"": folder(0)}), refuse: docker, user: true},
		{name: "a directory that cannot be entered", tree: good.and(tree{"": folder(0o444)}), refuse: both, user: true},
		{name: "a directory that can be entered and not listed", tree: good.and(tree{"": folder(0o111)}), refuse: docker, user: true},
	}
}

// links are directories with symbolic links in them.
func links(m material) []fixture {
	kubernetes := tree{
		"..2026_11_23_08_00_00.1": folder(0o755), "..data": link("..2026_11_23_08_00_00.1"),
		"client.cert": link("..data/client.cert"), "client.key": link("..data/client.key"), "ca.crt": link("..data/ca.crt"),
		"..2026_11_23_08_00_00.1/client.cert": file(m.below.ChainPEM()), "..2026_11_23_08_00_00.1/client.key": file(m.below.KeyPEM()),
		"..2026_11_23_08_00_00.1/ca.crt": file(m.ca.CertPEM()),
	}
	return []fixture{
		{name: "a volume of Kubernetes", tree: kubernetes, pairs: "client", roots: 1},
		{name: "links beside their targets", tree: pair(m.a, "z").and(tree{"a.cert": link("z.cert"), "a.key": link("z.key")}), pairs: "a z"},
		{name: "a link to a link", tree: pair(m.a, "z").and(tree{"a.cert": link("b.cert"), "b.cert": link("z.cert"), "a.key": link("z.key"), "b.key": link("z.key")}), pairs: "a b z"},
		{name: "links out of the directory", tree: tree{"a.cert": link("../../elsewhere/x.pem"), "a.key": link("../../elsewhere/y.pem"),
			"../../elsewhere/x.pem": file(m.a.CertPEM()), "../../elsewhere/y.pem": file(m.a.KeyPEM())}, pairs: "a"},
		{name: "the directory is a link", tree: tree{"": link("../elsewhere"), "../../elsewhere/ca.crt": file(m.ca.CertPEM()),
			"../../elsewhere/a.cert": file(m.a.CertPEM()), "../../elsewhere/a.key": file(m.a.KeyPEM())}, pairs: "a", roots: 1},
		{name: "a CA root that leads nowhere", tree: pair(m.a, "a").and(tree{"gone.crt": link("nowhere"), "ca.crt": file(m.ca.CertPEM())}), refuse: docker, pairs: "a", roots: 1},
		{name: "a certificate that leads nowhere", tree: pair(m.a, "good").and(tree{"b.cert": link("nowhere"), "b.key": file(m.b.KeyPEM())}), refuse: both, pairs: "good"},
		{name: "a key that leads nowhere", tree: pair(m.a, "good").and(tree{"b.key": link("nowhere"), "b.cert": file(m.b.CertPEM())}), refuse: both, pairs: "good"},
		{name: "a CA root that leads to itself", tree: pair(m.a, "good").and(tree{"x.crt": link("x.crt")}), refuse: both, pairs: "good"},
		{name: "a CA root that leads to a directory", tree: pair(m.a, "good").and(tree{"x.crt": link("sub"), "sub": folder(0o755)}), refuse: both, pairs: "good"},
	}
}
