package oracle

import "slices"

// A fixture is one host directory, who refuses it, and what certproxy takes from
// it: of what an oracle accepts, the same, and of what it refuses, the good parts.
type fixture struct {
	name   string
	tree   tree   // nil: there is no such directory
	refuse string // nobody, both, or the one oracle that refuses the whole directory
	pairs  string // the names certproxy has, in order
	roots  int    // how many CA roots certproxy has
	fine   bool   // refused, and certproxy takes it whole: nothing is reported
	user   bool   // is read without root's right to read everything
}

const (
	nobody = ""
	both   = "both"
)

func (f fixture) refusedBy(o oracle) bool { return f.refuse == both || f.refuse == o.name }

func fixtures(m material) []fixture {
	return slices.Concat(orders(m), caRoots(m), encodings(m), links(m), names(m), refusals(m), permissions(m), directories(m))
}

// orders are pairs whose names sort in ways that people do not expect.
func orders(m material) []fixture {
	key, cert := file(m.a.KeyPEM()), file(m.a.CertPEM())
	return []fixture{
		{name: "one pair", tree: pair(m.a, "client"), pairs: "client"},
		{name: "one pair and a CA root", tree: pair(m.a, "client").and(tree{"ca.crt": file(m.ca.CertPEM())}), pairs: "client", roots: 1},
		{name: "upper case before lower", tree: pair(m.a, "a").and(pair(m.b, "B")), pairs: "B a"},
		{name: "a hyphen before the dot", tree: pair(m.a, "client").and(pair(m.b, "client-1")), pairs: "client-1 client"},
		{name: "digits are no numbers", tree: pair(m.a, "2").and(pair(m.b, "10")), pairs: "10 2"},
		{name: "a blank before everything", tree: pair(m.a, "client").and(pair(m.b, "client 2")), pairs: "client 2 client"},
		{name: "a longer name behind its prefix", tree: pair(m.a, "client").and(pair(m.b, "client_old", "client0")), pairs: "client client0 client_old"},
		{name: "a name that goes on after the dot", tree: pair(m.a, "a").and(pair(m.b, "a.b")), pairs: "a.b a"},
		{name: "letters beyond ASCII last", tree: pair(m.a, "z").and(pair(m.b, "ä")).and(pair(m.c, "Ω", "日本")), pairs: "z ä Ω 日本"},
		{name: "CA roots between the pairs", tree: pair(m.a, "a").and(pair(m.b, "c")).and(tree{"b.crt": file(m.ca.CertPEM())}), pairs: "a c", roots: 1},
		{name: "one identity under two names", tree: pair(m.a, "x", "y"), pairs: "x y"},
		{name: "a certificate twice with one key twice", tree: tree{
			"new.cert": file(m.a.ChainPEM()), "new.key": key, "old.cert": cert, "old.key": key,
		}, pairs: "new old"},
		{name: "twelve pairs", tree: pair(m.a, "01", "02", "03", "04", "1", "11", "111").and(pair(m.b, "A", "Z", "_", "a", "~")),
			pairs: "01 02 03 04 1 11 111 A Z _ a ~"},
	}
}

// directories are those that hold nothing to read.
func directories(m material) []fixture {
	return []fixture{
		{name: "no directory", tree: nil},
		{name: "an empty directory", tree: tree{}},
		{name: "unknown files alone", tree: tree{"README": file(garbage()), "crt": file(m.ca.CertPEM()), "client.cert.bak": file(m.a.CertPEM())}},
		{name: "unknown files beside a pair", tree: pair(m.a, "client").and(tree{
			"README.md": file(nil), "client.cert~": file(garbage()), "client.csr": file(garbage()), "ca.crt.old": file(m.ca.CertPEM()),
		}), pairs: "client"},
		{name: "a pair in a sub-directory", tree: pair(m.a, "client").and(pair(m.b, "old/client")).and(tree{"old/ca.crt": file(m.ca.CertPEM())}), pairs: "client"},
		{name: "extensions that nobody reads", tree: pair(m.a, "client").and(tree{
			"ca.pem": file(m.ca.CertPEM()), "ca.cer": file(m.ca.CertPEM()), "CA.CRT": file(m.ca.CertPEM()), "X.CERT": file(m.b.CertPEM()), "x.p12": file(garbage()),
		}), pairs: "client"},
		{name: "containerd's hosts.toml beside a pair", tree: pair(m.a, "client").and(tree{"hosts.toml": file(nil)}), pairs: "client"},
		{name: "the directory is a file", tree: tree{"": file(m.ca.CertPEM())}, refuse: both},
		{name: "a directory named as a CA root", tree: pair(m.a, "client").and(tree{"x.crt": folder(0o755)}), refuse: both, pairs: "client"},
		{name: "a directory named as a certificate", tree: pair(m.a, "client").and(tree{"x.cert": folder(0o755), "x.key": file(m.b.KeyPEM())}), refuse: both, pairs: "client"},
		{name: "a directory named as a key", tree: pair(m.a, "client").and(tree{"x.key": folder(0o755), "x.cert": file(m.b.CertPEM())}), refuse: both, pairs: "client"},
	}
}

// names are the pairs and roots whose names are easily taken for something else.
func names(m material) []fixture {
	ca := file(m.ca.CertPEM())
	return []fixture{
		{name: "dots in a name", tree: pair(m.a, "a.b", "registry.example", "v1.2.3"), pairs: "a.b registry.example v1.2.3"},
		{name: "extensions in a name", tree: pair(m.a, "x.cert").and(pair(m.b, "x.key", "x.crt")), pairs: "x.cert x.crt x.key"},
		{name: "a CA root named like the pair", tree: pair(m.a, "client").and(tree{"client.crt": ca}), pairs: "client", roots: 1},
		{name: "a CA root and a pair named tls", tree: pair(m.a, "tls").and(tree{"tls.crt": ca}), pairs: "tls", roots: 1},
		{name: "a shell's special letters", tree: pair(m.a, "$(x) 'y' *;&", "-rf", "a\nb", `back\slash`), pairs: "$(x) 'y' *;& -rf a\nb back\\slash"},
		{name: "a name in Latin-1", tree: pair(m.a, "caf\xe9").and(tree{"caf\xe9.crt": ca}), pairs: "caf\xe9", roots: 1},
		{name: "a pair named with a dot", tree: pair(m.a, "client").and(pair(m.b, ".hidden")), pairs: "client"},
		{name: "a pair with no name", tree: pair(m.a, "client").and(pair(m.b, "")), pairs: "client"},
		{name: "a CA root named with a dot", tree: pair(m.a, "client").and(tree{".ca.crt": ca, ".crt": file(m.otherCA.CertPEM())}), pairs: "client"},
	}
}
