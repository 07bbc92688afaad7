package rig

import (
	"embed"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

//go:embed conf
var configurations embed.FS

// Dir returns a new directory that is removed after the test.
//
// Unlike t.TempDir it can be entered by every user (Apache's workers are not
// root), and its name is short: a unix socket's path may have 107 bytes.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cp-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something still uses the test's directory: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write writes data below dir, making directories as needed, and returns the path.
func Write(t testing.TB, dir, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Read returns the file's contents.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// render fills in conf/NAME and writes it to dir.
func render(t testing.TB, dir, name string, values any) string {
	t.Helper()
	tmpl, err := template.ParseFS(configurations, "conf/*")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tmpl.Option("missingkey=error").ExecuteTemplate(&out, name, values); err != nil {
		t.Fatal(err)
	}
	return Write(t, dir, name, []byte(out.String()), 0o644)
}
