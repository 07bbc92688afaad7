//go:build unix

package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// What root runs in a directory of another user's is that user's to lead astray: by a link
// in place of a database, or by the program itself.
func TestRootChangesAnotherUsersStoresAsThatUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: root, to have files of another user's; run the tests as root")
	}
	home, err := os.MkdirTemp("/tmp", "trust") //nolint:usetesting // another user has to get to it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	database, bin := filepath.Join(home, ".pki/nssdb"), filepath.Join(home, "java/bin")
	cacerts := filepath.Join(home, "java/lib/security")
	for _, dir := range []string{database, bin, cacerts, filepath.Join(home, "path")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	said := filepath.Join(home, "said")
	for path, text := range map[string]string{
		filepath.Join(database, "cert9.db"):     "",
		filepath.Join(cacerts, "cacerts"):       "",
		filepath.Join(bin, "keytool"):           "#!/bin/sh\nexec id -u >>" + said + "\n",
		filepath.Join(home, "path", "certutil"): "#!/bin/sh\nid -u >>" + said + "\nenv | grep -e SECRET -e HOME= >>" + said + "\ntrue\n",
		said:                                    "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir(home, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 65534, 65534)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(home, "path")+":"+os.Getenv("PATH"))
	t.Setenv("SECRET_OF_ROOT", "x")
	ca := throwaway.NewCA("ca").X509
	for name, store := range map[string]Store{
		"nss":  NewNSS(home),
		"java": NewJava(func(name string) string { return map[string]string{"JAVA_HOME": filepath.Join(home, "java")}[name] }),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(said, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			steps, err := store.Install(t.Context(), ca)
			did(t, steps, err)
			text, err := os.ReadFile(said)
			if err != nil || len(text) == 0 {
				t.Fatalf("%q, %v", text, err)
			}
			for line := range strings.Lines(string(text)) {
				if line != "65534\n" {
					t.Errorf("it ran with %s", line)
				}
			}
		})
	}
}
