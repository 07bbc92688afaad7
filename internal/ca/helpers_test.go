//go:build unix

package ca

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// roleVariable makes this test binary play one process of a test instead.
const roleVariable = "CERTPROXY_CA_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1]))
	}
	os.Exit(m.Run())
}

// play is what a child process does with a state directory.
func play(role, dir string) int {
	var c *CA
	var err error
	made := false
	switch role {
	case "load":
		c, err = Load(dir)
	case "load-or-create":
		c, made, err = LoadOrCreate(dir)
	case "create-for-ever":
		for i := 0; err == nil; i++ {
			name := filepath.Join(dir, fmt.Sprint(i))
			fmt.Println(name)
			_, err = Create(name, Options{})
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.Fingerprint(), made)
	return 0
}

// child returns a command that plays a role in another process.
func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, dir)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// asOther plays a role as a user that owns nothing of the test, since root may read
// and write whatever the modes say. It returns what the child said.
func asOther(t *testing.T, role, dir string) string {
	t.Helper()
	cmd := child(t, role, dir)
	if os.Geteuid() == 0 {
		// The binary lies where only root may go, so the child gets a copy.
		public := publicDir(t)
		data, err := os.ReadFile(cmd.Path)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(public, "child")
		if err := os.WriteFile(cmd.Path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return string(out)
}

// publicDir returns a new directory that every user may enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newTestCA makes a CA in a directory of the test.
func newTestCA(t testing.TB, o Options) *CA {
	t.Helper()
	c, err := Create(filepath.Join(t.TempDir(), "state"), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bring writes a CA that an operator brings, with or without its key's PEM.
func bring(t testing.TB, certPEM, keyPEM []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put(t, filepath.Join(dir, CertFile), certPEM, 0o644)
	put(t, filepath.Join(dir, KeyFile), keyPEM, 0o600)
	return dir
}

// bringCA writes a throwaway CA with the chain it has.
func bringCA(t testing.TB, c *throwaway.Certificate) (dir string) {
	t.Helper()
	return bring(t, append(c.CertPEM(), issuersPEM(c)...), c.KeyPEM())
}

func issuersPEM(c *throwaway.Certificate) []byte {
	var out []byte
	for up := c.Issuer; up != nil; up = up.Issuer {
		out = append(out, up.CertPEM()...)
	}
	return out
}

func put(t testing.TB, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// wantError checks an error's kind, that it says each of the words and ends with
// what to do.
func wantError(t *testing.T, err error, kind Kind, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error = %v, want one that is %q", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error = %v\nit does not say %q", err, w)
		}
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Hint == "" {
		t.Errorf("error = %v\nit does not say what to do", err)
	}
}

// openssl runs the command and returns its output, and whether it succeeded.
func openssl(t testing.TB, stdin []byte, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("openssl (apt-get install openssl): %v", err)
	}
	return string(out), err == nil
}

// listDir returns the names in a directory.
func listDir(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
