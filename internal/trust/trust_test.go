package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// did runs the steps and returns what they say.
func did(t *testing.T, steps []Step, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range steps {
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Would == "" || s.Did == "" {
			t.Errorf("a step tells nothing: %+v", s)
		}
		out = append(out, s.Did)
	}
	return out
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// fedora is a system like Fedora's below a directory; update puts all anchors into the bundle.
func fedora(t *testing.T) *System {
	t.Helper()
	s := &System{root: t.TempDir(), have: func(program string) bool { return program == "update-ca-trust" }}
	anchors, bundle := s.path("/etc/pki/ca-trust/source/anchors"), s.path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
	for _, dir := range []string{anchors, filepath.Dir(bundle), s.path("/usr/local/share/ca-certificates")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.run = func(_ context.Context, _ string, args ...string) ([]byte, error) {
		if !slices.Equal(args, []string{"update-ca-trust", "extract"}) {
			t.Errorf("ran %q", args)
		}
		files, err := filepath.Glob(filepath.Join(anchors, "*"))
		if err != nil {
			return nil, err
		}
		var all []byte
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			all = append(all, data...)
		}
		return nil, os.WriteFile(bundle, all, 0o600)
	}
	return s
}

func TestFedorasStoreIsReplacedAndEmptied(t *testing.T) {
	s := fedora(t)
	anchors := s.path("/etc/pki/ca-trust/source/anchors")
	old, now := throwaway.NewCA("old").X509, throwaway.NewCA("now").X509
	oldFile, nowFile := filepath.Join(anchors, Label(old)+".pem"), filepath.Join(anchors, Label(now)+".pem")
	install := func(ca *x509.Certificate) []string {
		steps, err := s.Install(t.Context(), ca)
		return did(t, steps, err)
	}
	uninstall := func() []string {
		steps, err := s.Uninstall(t.Context())
		return did(t, steps, err)
	}
	const ran = "ran update-ca-trust extract"
	expect(t, "nothing there", uninstall(), nil)
	expect(t, "first", install(old), []string{"wrote " + oldFile, ran})
	expect(t, "again", install(old), nil)
	if info, err := os.Stat(oldFile); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// What others have put there, under whatever name, stays.
	others := map[string]*x509.Certificate{"corp.pem": now, "certproxy-0123456789abcdef.pem": now, Label(now) + ".crt": now}
	for name, cert := range others {
		if err := os.WriteFile(filepath.Join(anchors, name), encode(cert), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "another CA", install(now), []string{"removed " + oldFile, "wrote " + nowFile, ran})
	// An update that was interrupted is made up for.
	if err := os.WriteFile(s.path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, "after a lost update", install(now), []string{ran})
	expect(t, "the end", uninstall(), []string{"removed " + nowFile, ran})
	for name := range others {
		if _, err := os.Stat(filepath.Join(anchors, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestACAThatTheSystemDidNotTakeIsNotLeftThere(t *testing.T) {
	s := fedora(t)
	s.run = func(context.Context, string, ...string) ([]byte, error) { return nil, errors.New("disk full") }
	steps, err := s.Install(t.Context(), throwaway.NewCA("ours").X509)
	if err != nil || len(steps) != 2 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	if err := steps[0].Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := steps[1].Run(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v", err)
	}
	if left, err := ourFiles(s.path("/etc/pki/ca-trust/source/anchors"), ".pem"); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAStoreThatIsNotHereSaysSo(t *testing.T) {
	ca := throwaway.NewCA("ours").X509
	for _, store := range []Store{
		&System{root: t.TempDir(), have: func(string) bool { return true }},
		&Docker{Root: t.TempDir()},
		&NSS{home: t.TempDir(), tool: "certutil"},
		&Java{},
		&Java{store: "/cacerts", tool: "/nonexistent/keytool"},
	} {
		_, err := store.Install(t.Context(), ca)
		var absent *Absent
		if !errors.As(err, &absent) || absent.Text == "" {
			t.Errorf("%s: %v", store.Name(), err)
		}
	}
}

func TestAFileThatCannotBeWrittenKeepsItsCause(t *testing.T) {
	err := writeFile("/nonexistent/x.crt", nil)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "cannot write /nonexistent/x.crt: no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestDockerGetsTheCAWhereItLooks(t *testing.T) {
	root := filepath.Join(t.TempDir(), "certs.d")
	d := &Docker{Root: root, Hosts: []Host{
		{Name: "a.example:443", Dir: "/etc/certproxy/certs.d/a.example"},
		{Name: "b.example:443", Dir: filepath.Join(root, "b.example:443")},
		{Name: "c.example:5000", Dir: filepath.Join(root, "c.example_5000_")},
	}}
	ca := throwaway.NewCA("ours").X509
	file := func(dir string) string { return filepath.Join(root, dir, Label(ca)+".crt") }
	steps, err := d.Install(t.Context(), ca)
	expect(t, "install", did(t, steps, err), []string{"wrote " + file("a.example"), "wrote " + file("b.example:443"), "wrote " + file("c.example:5000")})
	// A host that is listed no more has no need of it.
	d.Hosts = d.Hosts[1:]
	steps, err = d.Install(t.Context(), ca)
	expect(t, "again", did(t, steps, err), []string{"removed " + file("a.example")})
	if err := os.WriteFile(filepath.Join(root, "b.example:443", "ca.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err = d.Uninstall(t.Context())
	expect(t, "uninstall", did(t, steps, err), []string{"removed " + file("b.example:443"), "removed " + file("c.example:5000")})
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "b.example:443" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestKeytoolsListIsRead(t *testing.T) {
	ca := throwaway.NewCA("ours").X509
	entry := func(alias string, cert *x509.Certificate) string {
		fingerprint := strings.ToUpper(Label(cert)[len("certproxy-"):])
		var pairs []string
		for i := 0; i < len(fingerprint); i += 2 {
			pairs = append(pairs, fingerprint[i:i+2])
		}
		return alias + ", Nov 28, 2026, trustedCertEntry, \nCertificate fingerprint (SHA-256): " + strings.Join(pairs, ":") + ":00\n"
	}
	j := &Java{store: "/cacerts", tool: "/dev/null"}
	j.run = func(context.Context, string, ...string) ([]byte, error) {
		return []byte("Keystore type: JKS\n\nYour keystore contains 3 entries\n\n" + entry(Label(ca), ca) + entry("debian:"+Label(ca)+".pem", ca) + entry("certproxy-0123456789abcdef", ca)), nil
	}
	steps, err := j.Uninstall(t.Context())
	if err != nil || len(steps) != 1 || steps[0].Would != "remove "+Label(ca)+" from /cacerts" {
		t.Errorf("%+v, %v", steps, err)
	}
}
