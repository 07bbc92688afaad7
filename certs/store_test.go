package certs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A rig is a root on disk with a store over it.
type rig struct {
	t     *testing.T
	root  string
	store *Store
	ca    *throwaway.Certificate
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "certs.d"), ca: throwaway.NewCA("root")}
	r.store = NewStore([]Root{Dir(r.root)}, nil)
	return r
}

func (r *rig) dir(host string) string { return filepath.Join(r.root, host) }

func (r *rig) pair(host, name string) {
	r.ca.Issue(throwaway.Options{Name: name}).WritePair(r.dir(host), name)
}

func (r *rig) write(host, file string, data []byte) {
	r.t.Helper()
	if err := os.MkdirAll(r.dir(host), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir(host), file), data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) remove(path string) {
	r.t.Helper()
	if err := os.RemoveAll(filepath.Join(r.root, path)); err != nil {
		r.t.Fatal(err)
	}
}

// reload reads one host directory again and returns the host.
func (r *rig) reload(host string) *Host {
	r.store.Reload([]string{r.dir(host)})
	h, _ := r.store.Lookup(host)
	return h
}

func TestARootThatAppearsLaterIsRead(t *testing.T) {
	r := newRig(t)
	if err := r.store.Index().Err(); err != nil {
		t.Fatalf("a root that does not exist yet: %v", err)
	}
	r.pair("registry.example:443", "a")
	delta := r.store.Reload(nil)
	if len(delta.Added) != 1 || delta.Added[0].Name != "registry.example:443" {
		t.Fatalf("delta %+v", delta)
	}
	r.remove(".")
	if delta := r.store.Reload(nil); len(delta.Removed) != 1 {
		t.Fatalf("after the root is gone: delta %+v", delta)
	}
}

func TestTheFirstRootWithADirectoryWinsAndNothingIsMerged(t *testing.T) {
	a, b := throwaway.SelfSigned(throwaway.Options{Name: "a"}), throwaway.SelfSigned(throwaway.Options{Name: "b"})
	file := func(data []byte) *fstest.MapFile { return &fstest.MapFile{Data: data, Mode: 0o600} }
	store := NewStore([]Root{
		{Path: "/first", FS: fstest.MapFS{"registry.example/a.cert": file(a.CertPEM()), "registry.example/a.key": file(a.KeyPEM())}},
		{Path: "/second", FS: fstest.MapFS{
			"registry.example:443/b.cert": file(b.CertPEM()), "registry.example:443/b.key": file(b.KeyPEM()),
			"other.example_5000_/b.cert": file(b.CertPEM()), "other.example_5000_/b.key": file(b.KeyPEM()),
			"other.example:5000/a.cert": file(a.CertPEM()), "other.example:5000/a.key": file(a.KeyPEM()),
			"Third.Example/a.cert": file(a.CertPEM()), "Third.Example/a.key": file(a.KeyPEM()),
		}},
	}, nil)
	for name, want := range map[string]string{
		"registry.example:443": "/first/registry.example",
		"other.example:5000":   "/second/other.example:5000",
		"third.example:443":    "/second/Third.Example",
	} {
		if h, ok := store.Lookup(name); !ok || h.Dir != want {
			t.Errorf("%s: %+v, want it from %s", name, h, want)
		}
	}
	for _, name := range []string{"third.example:8443", "other.example:443", "registry.example:5000"} {
		if h, ok := store.Lookup(name); ok {
			t.Errorf("%s found %s: a directory for another port", name, h.Dir)
		}
	}
	if got := store.Index().Shadowed("registry.example:443"); !slices.Equal(got, []string{"/second/registry.example:443"}) {
		t.Errorf("shadowed %v", got)
	}
	if got := kinds(store.Index().problems); got != string(ErrDuplicate) {
		t.Errorf("problems %q, want one about the second directory within a root", got)
	}
}

func TestNamesThatAreNoHostAreReportedAndIgnored(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"_default", "*.example", "bad name", "docker.io"} {
		r.pair(name, "a")
	}
	r.ca.WritePair(r.root, "stray")
	r.ca.WritePair(filepath.Join(filepath.Dir(r.root), "cert.d", "registry.example"), "a")
	r.store.Reload(nil)
	var names []string
	for _, h := range r.store.Index().Hosts() {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "docker.io:443" {
		t.Errorf("hosts %q, want docker.io alone", got)
	}
	want := []Kind{ErrWildcard, ErrHostName, ErrDockerHub, ErrStray, ErrMisspelt}
	for _, kind := range want {
		found := slices.IndexFunc(r.store.Index().Problems(time.Now()), func(p Problem) bool { return errors.Is(p, kind) && p.Hint != "" })
		if found < 0 {
			t.Errorf("no problem says %q", kind)
		}
	}
}

func TestAHostWhoseContentDidNotChangeKeepsItsValue(t *testing.T) {
	r := newRig(t)
	r.pair("a.example:443", "a")
	r.pair("b.example:443", "b")
	r.store.Reload(nil)
	a, _ := r.store.Lookup("a.example:443")
	b, _ := r.store.Lookup("b.example:443")

	r.pair("b.example:443", "b") // another key under the same name
	cert, err := os.ReadFile(filepath.Join(r.dir("a.example:443"), "a.cert"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("a.example:443", "a.cert", cert) // touched, not changed
	delta := r.store.Reload(nil)

	if again, _ := r.store.Lookup("a.example:443"); again != a {
		t.Error("a host was made anew although its content is the same")
	}
	again, _ := r.store.Lookup("b.example:443")
	if again == b || again.Generation <= b.Generation || again.Pairs[0].ID() == b.Pairs[0].ID() {
		t.Error("a changed host kept its value")
	}
	if len(delta.Changed) != 1 || len(delta.Added)+len(delta.Removed) != 0 {
		t.Errorf("delta %+v, want one change", delta)
	}
}

func TestAHalfWrittenPairKeepsItsLastGoodValue(t *testing.T) {
	const host = "registry.example:443"
	r := newRig(t)
	r.pair(host, "client")
	r.write(host, "ca.crt", r.ca.CertPEM())
	good := r.reload(host)
	next := r.ca.Issue(throwaway.Options{Name: "next"})

	for _, step := range []struct {
		name string
		do   func()
		kind Kind
	}{
		{"the certificate is replaced before the key", func() { r.write(host, "client.cert", next.CertPEM()) }, ErrMismatch},
		{"the key is truncated", func() { r.write(host, "client.key", nil) }, ErrNotPEM},
		{"the certificate is half-written", func() { r.write(host, "client.cert", next.CertPEM()[:100]) }, ErrNotPEM},
		{"the CA root is half-written", func() { r.write(host, "ca.crt", r.ca.CertPEM()[:100]) }, ErrNoCARoot},
	} {
		step.do()
		h := r.reload(host)
		if len(h.Pairs) != 1 || h.Pairs[0].ID() != good.Pairs[0].ID() || !h.Pairs[0].Stale || h.TrustID() != good.TrustID() {
			t.Errorf("%s: the last good value is gone: %v", step.name, h.Problems)
		}
		if !strings.Contains(kinds(h.Problems), string(step.kind)) {
			t.Errorf("%s: not reported: %v", step.name, h.Problems)
		}
	}

	r.write(host, "client.cert", next.CertPEM())
	r.write(host, "client.key", next.KeyPEM())
	r.write(host, "ca.crt", r.ca.CertPEM())
	h := r.reload(host)
	if len(h.Problems) != 0 || h.Pairs[0].Stale || !h.Pairs[0].Leaf().Equal(next.X509) {
		t.Errorf("the directory is whole again, but: %v, problems %v", h.Pairs, h.Problems)
	}
}

func TestAFileThatIsGoneIsARemoval(t *testing.T) {
	const host = "registry.example:443"
	r := newRig(t)
	r.pair(host, "a")
	r.pair(host, "b")
	r.reload(host)
	r.remove(host + "/a.key")
	if h := r.reload(host); pairNames(h) != "b" || kinds(h.Problems) != string(ErrNoKey) {
		t.Errorf("without a.key: pairs %q, problems %v", pairNames(h), h.Problems)
	}
	r.remove(host + "/b.cert")
	if h := r.reload(host); h.Action != Unusable {
		t.Errorf("without any pair: %v", h.Action)
	}
	r.remove(host)
	if h := r.reload(host); h != nil {
		t.Errorf("without the directory: %+v", h)
	}
}

func TestKubernetesSecretVolume(t *testing.T) {
	const host = "registry.example:443"
	r := newRig(t)
	link := func(target, name string) {
		t.Helper()
		tmp := filepath.Join(r.dir(host), "tmp-link")
		if err := errors.Join(os.MkdirAll(r.dir(host), 0o755), os.Symlink(target, tmp), os.Rename(tmp, filepath.Join(r.dir(host), name))); err != nil {
			t.Fatal(err)
		}
	}
	first, second := r.ca.Issue(throwaway.Options{Name: "1"}), r.ca.Issue(throwaway.Options{Name: "2"})
	first.WritePair(filepath.Join(r.dir(host), "..2026_1"), "client")
	link("..2026_1", "..data")
	link("..data/client.cert", "client.cert")
	link("..data/client.key", "client.key")
	if h := r.reload(host); pairNames(h) != "client" || len(h.Problems) != 0 {
		t.Fatalf("pairs %q, problems %v", pairNames(h), h.Problems)
	}
	second.WritePair(filepath.Join(r.dir(host), "..2026_2"), "client")
	link("..2026_2", "..data")
	r.store.Reload(nil) // by stamps alone
	if h, _ := r.store.Lookup(host); !h.Pairs[0].Leaf().Equal(second.X509) {
		t.Error("the swapped secret was not read")
	}
}

func TestARootThatCannotBeReadIsAnErrorAndKeepsItsLastGoodValue(t *testing.T) {
	r := newRig(t)
	r.pair("registry.example:443", "a")
	r.store.Reload(nil)
	if err := errors.Join(os.Rename(r.root, r.root+".away"), os.WriteFile(r.root, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	r.store.Reload(nil)
	if err := r.store.Index().Err(); err == nil || !strings.Contains(err.Error(), r.root+" is a file") {
		t.Errorf("error %v", err)
	}
	if _, ok := r.store.Lookup("registry.example:443"); !ok {
		t.Error("the host is gone: its requests would be tunnelled without a word")
	}
}

func TestAHostDirectoryThatLeadsNowhereIsUnusable(t *testing.T) {
	r := newRig(t)
	if err := errors.Join(os.MkdirAll(r.root, 0o755), os.Symlink("/nonexistent", r.dir("registry.example"))); err != nil {
		t.Fatal(err)
	}
	for _, dirs := range [][]string{nil, {r.dir("registry.example")}} {
		r.store.Reload(dirs)
		if h, ok := r.store.Lookup("registry.example:443"); !ok || h.Action != Unusable || h.Reason() == "" {
			t.Errorf("Reload(%v): %+v", dirs, h)
		}
	}
}

// Root reads everything whatever its mode says, so this test runs itself again as
// the user nobody.
func TestWhatCannotBeReadIsNamedWithItsModeAndTheUser(t *testing.T) {
	const variable = "CERTS_TEST_UNREADABLE_ROOT"
	if root := os.Getenv(variable); root != "" {
		store := NewStore([]Root{Dir(root)}, nil)
		for _, p := range store.Index().Problems(time.Now()) {
			_, _ = os.Stdout.WriteString(p.Error() + "\n")
		}
		for _, h := range store.Index().Hosts() {
			_, _ = os.Stdout.WriteString(h.Name + " " + h.Action.String() + "\n")
		}
		return
	}
	root, err := os.MkdirTemp("/tmp", "certs-test-") //nolint:usetesting // nobody must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	ca := throwaway.NewCA("ca")
	for _, name := range []string{"file", "dir"} {
		ca.WritePair(filepath.Join(root, name), "a")
	}
	test := filepath.Join(root, "test.bin")
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.WriteFile(test, binary, 0o755),
		os.Chmod(root, 0o755), os.Chmod(filepath.Join(root, "dir"), 0o000),
	); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(test, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+root)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(filepath.Join(root, "file", "a.key"), 0); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		filepath.Join(root, "file", "a.key") + ": cannot be read: mode 0",
		filepath.Join(root, "dir") + ": cannot be read: mode 0000, owner ",
		", and certproxy runs as ",
		"dir:443 unusable", "file:443 unusable",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

func TestDefaultRoots(t *testing.T) {
	machine := []string{"/etc/certproxy/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"}
	for _, test := range []struct {
		uid  int
		env  map[string]string
		want []string
	}{
		{0, map[string]string{"HOME": "/root"}, nil},
		{1000, map[string]string{"HOME": "/home/u"}, []string{"/home/u/.config/certproxy/certs.d", "/home/u/.config/docker/certs.d", "/home/u/.config/containers/certs.d"}},
		{1000, map[string]string{"HOME": "/home/u", "XDG_CONFIG_HOME": "/cfg"}, []string{"/cfg/certproxy/certs.d", "/home/u/.config/docker/certs.d", "/home/u/.config/containers/certs.d"}},
		{1000, nil, nil},
		{1000, map[string]string{"HOME": "relative"}, nil},
	} {
		got := DefaultRoots(test.uid, func(name string) string { return test.env[name] })
		if !slices.Equal(got, append(test.want, machine...)) {
			t.Errorf("uid %d, %v: %v", test.uid, test.env, got)
		}
	}
}
