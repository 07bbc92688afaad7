package certs

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestDirNamesAreThoseThatTheHostIsReadFrom(t *testing.T) {
	for authority, want := range map[string][]string{
		"registry.example:5000": {"registry.example:5000", "registry.example_5000_"},
		"registry.example:443":  {"registry.example:443", "registry.example_443_", "registry.example"},
		"[::1]:5000":            {"[::1]:5000", "[::1]_5000_"},
	} {
		got := DirNames(authority)
		if !slices.Equal(got, want) {
			t.Errorf("DirNames(%q) = %q, want %q", authority, got, want)
		}
		for _, name := range got {
			if back, err := ParseDirName(name); err != nil || back != authority {
				t.Errorf("ParseDirName(%q) = %q, %v; want %q", name, back, err, authority)
			}
		}
	}
}

func TestACARootIsFoundInItsFile(t *testing.T) {
	a, b, other := throwaway.NewCA("a"), throwaway.NewCA("b"), throwaway.NewCA("other")
	root := Root{Path: "/certs.d", FS: fstest.MapFS{
		"registry.example/one.crt": {Data: a.CertPEM()},
		"registry.example/two.crt": {Data: slices.Concat(a.CertPEM(), b.CertPEM())},
	}}
	h, ok := NewStore([]Root{root}, nil).Lookup("registry.example:443")
	if !ok {
		t.Fatal("no host")
	}
	for c, want := range map[*throwaway.Certificate]string{a: "/certs.d/registry.example/one.crt", b: "/certs.d/registry.example/two.crt", other: ""} {
		if got := h.CARootFile(c.X509); got != want {
			t.Errorf("%s lies in %q, want %q", c.X509.Subject, got, want)
		}
	}
}
