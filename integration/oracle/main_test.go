package oracle

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// TestMain makes the system roots known: one certificate, whatever this machine
// trusts. They are read once per process, so it happens before any test.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oracle")
	if err == nil {
		err = systemRoots(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func systemRoots(dir string) error {
	throwaway.NewCA("the only system root").WriteRoot(dir, "system")
	if err := os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "system.crt")); err != nil {
		return err
	}
	// Where the variable is not set, the usual directories are read beside the file.
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_DIR", empty)
}
