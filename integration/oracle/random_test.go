package oracle

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Directories that nobody thought of. The seed is fixed, so their shapes come again. No
// exception has a part in them, so wherever an oracle accepts, the readings are the
// same; and wherever both refuse, certproxy has the pairs that Go itself can load.
func TestRandomDirectoriesAreReadAsTheOraclesDo(t *testing.T) {
	const trees = 400
	m, r, root := newMaterial(t), rand.New(rand.NewPCG(20141105, 8577)), t.TempDir()
	for i := range trees {
		randomTree(r, m).write(t, filepath.Join(root, randomHost(i)))
	}
	index := certs.NewStore([]certs.Root{certs.Dir(root)}, nil).Index()
	accepted := 0
	for i := range trees {
		dir := filepath.Join(root, randomHost(i))
		host, ok := index.Lookup(randomHost(i))
		if !ok {
			t.Fatalf("certproxy has no host %s", randomHost(i))
		}
		own, refusals := ours(t, host), 0
		for _, o := range oracles() {
			theirs, err := o.read(dir)
			if err != nil {
				refusals++
			} else if diff := difference(t, theirs, own); diff != "" {
				t.Errorf("%s: %s: %s\n%s", randomHost(i), o.name, diff, listing(t, dir))
			}
		}
		if refusals == 0 {
			accepted++
		} else if len(host.Problems) == 0 {
			t.Errorf("%s: an oracle refuses it, and certproxy reports no problem\n%s", randomHost(i), listing(t, dir))
		}
		if want := loadable(t, dir); !slices.EqualFunc(want, own.pairs, samePair) {
			t.Errorf("%s: certproxy has %s, and Go can load %s\n%s", randomHost(i), describe(own.pairs), describe(want), listing(t, dir))
		}
	}
	if accepted < trees/4 || accepted > trees*3/4 {
		t.Errorf("of %d directories %d are accepted by both oracles: the mixture shows little", trees, accepted)
	}
	t.Logf("%d directories, %d accepted by both oracles", trees, accepted)
}

func randomHost(i int) string { return fmt.Sprintf("host-%d.example:5000", i) }

// loadable are the pairs of a directory that crypto/tls loads, by file name.
func loadable(t *testing.T, dir string) []tls.Certificate {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []tls.Certificate
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".cert"); ok {
			if c, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".cert"), filepath.Join(dir, name+".key")); err == nil {
				out = append(out, c)
			}
		}
	}
	return out
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%q", e.Name()))
	}
	return strings.Join(out, " ")
}

func randomTree(r *rand.Rand, m material) tree {
	out := tree{}
	names := []string{"a", "B", "10", "2", "client", "client-1", "client_1", "a.b", "x.crt", "z z", "ä", "tls-1"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:r.IntN(5)] {
		randomPair(r, m, out, name)
	}
	for i := range r.IntN(4) {
		out[fmt.Sprintf("%c%s.crt", "aZ0"[i], names[i])] = file(randomRoot(r, m))
	}
	if r.IntN(4) == 0 {
		out[pick(r, []string{"README", "ca.pem", "old/a.cert", "client.csr", "X.CERT", "hosts.toml"})] = file(m.a.CertPEM())
	}
	if r.IntN(40) == 0 {
		out["d.crt"] = folder(0o755)
	}
	return out
}

func randomPair(r *rand.Rand, m material, out tree, name string) {
	identities := []*throwaway.Certificate{m.a, m.b, m.c, m.below, m.rsa, m.p521, m.ed, m.expired, m.noEKU, m.middle}
	c := pick(r, identities)
	cert, key := c.ChainPEM(), c.KeyPEM()
	form := func(data []byte) []byte { return data }
	for range r.IntN(3) {
		last, next := form, pick(r, []func([]byte) []byte{withText, crlf, twice, noLastLine})
		form = func(data []byte) []byte { return next(last(data)) }
	}
	out[name+".cert"], out[name+".key"] = file(form(cert)), file(form(key))
	switch r.IntN(30) {
	case 0:
		delete(out, name+".key")
	case 1:
		delete(out, name+".cert")
	case 2:
		out[name+".key"] = file(pick(r, [][]byte{m.otherCA.KeyPEM(), m.encrypted, garbage(), nil, der(key), cert}))
	case 3:
		out[name+".cert"] = file(pick(r, [][]byte{m.otherCA.CertPEM(), garbage(), nil, der(cert), key, part(r, cert)}))
	case 4, 5, 6:
		out[name+".pem"], out[name+".cert"] = out[name+".cert"], link(name+".pem")
	case 7:
		out["..data/k"], out[name+".key"] = out[name+".key"], link("..data/k")
	}
}

func randomRoot(r *rand.Rand, m material) []byte {
	var out []byte
	for range r.IntN(4) {
		pem := pick(r, []*throwaway.Certificate{m.ca, m.otherCA, m.middle, m.a}).CertPEM()
		switch r.IntN(8) {
		case 0:
			pem = part(r, pem)
		case 1:
			pem[len(part(r, pem))] ^= 1 << r.IntN(8)
		case 2:
			pem = crlf(pem)
		case 3:
			pem = withText(pem)
		case 4:
			pem = join(garbage(), pem)
		}
		out = append(out, pem...)
	}
	return out
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// part is the beginning of data. The length of a certificate varies from run to run,
// so the generator is asked for hundredths: what it says next must not depend on it.
func part(r *rand.Rand, data []byte) []byte { return data[:r.IntN(100)*len(data)/100] }

func twice(data []byte) []byte      { return join(data, data) }
func noLastLine(data []byte) []byte { return data[:len(data)-1] }
