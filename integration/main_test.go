package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds what the tests run, then runs them.
func run(m *testing.M) int {
	if os.Getenv(holderVariable) != "" {
		return hold()
	}
	dir, err := os.MkdirTemp("", "certproxy-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if os.Getenv("CERTPROXY_BIN") == "" {
		bin := filepath.Join(dir, "certproxy")
		args := []string{"-C", "..", "build", "-o", bin, "./cmd/certproxy"}
		if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err == nil && strings.TrimSpace(string(out)) == "1" {
			args = append(args[:3:3], append([]string{"-race"}, args[3:]...)...)
		}
		if err := build(args); err != nil {
			return 1
		}
		os.Setenv("CERTPROXY_BIN", bin)
	}
	crane := filepath.Join(dir, "crane")
	if err := build([]string{"build", "-o", crane, "github.com/google/go-containerregistry/cmd/crane"}); err != nil {
		return 1
	}
	os.Setenv("CRANE_BIN", crane)
	return m.Run()
}

func build(args []string) error {
	cmd := exec.Command("go", args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	err := cmd.Run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go %s: %v\n", strings.Join(args, " "), err)
	}
	return err
}
