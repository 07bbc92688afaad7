package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A unit that is added to systemd/ is in the packages without a change here; a drop-in
// for somebody else's unit is there to be copied, and not in effect.
func TestUnitsGoWhereTheyBelong(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"certproxy.service", "certproxy.socket", "doc.go", "unit_test.go", "testdata/x.service", "user/certproxy.service", "drop-ins/docker.conf"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	u, err := readUnits(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"certproxy.socket", "certproxy.service"}; !slices.Equal(u.all(), want) {
		t.Errorf("of the system are %q; want %q, sockets first", u.all(), want)
	}
	var got []string
	for _, c := range u.contents() {
		got = append(got, c.Destination)
	}
	want := []string{
		"/usr/lib/systemd/system/certproxy.socket",
		"/usr/lib/systemd/system/certproxy.service",
		"/usr/lib/systemd/user/certproxy.service",
		"/usr/share/doc/certproxy/drop-ins/docker.conf",
		"/usr/share/doc/certproxy/drop-ins",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the package has\n%q; want\n%q", got, want)
	}
	if _, err := readUnits(t.TempDir()); err == nil {
		t.Error("a folder without a service is no error")
	}
}
