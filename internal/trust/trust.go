// Package trust puts the certificate of the local CA into the stores from which clients
// take what they trust, and takes it out again.
//
// A store is asked for its steps first. They are run one by one, or only told. What is
// ours in a store is known by its name, which holds the certificate's fingerprint,
// together with the certificate behind it: another one of that name is somebody else's, and
// stays. So a CA that was replaced since is found, and no list of what was done is kept.
//
// There is a library for some of this, smallstep/truststore, which cannot tell beforehand
// what it will do, becomes root by itself, and removes by serial number.
package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A Step is one change of a store.
type Step struct {
	Would string // what it is going to do: "write /a/b.crt"
	Did   string // what it has done then: "wrote /a/b.crt"
	Run   func(context.Context) error
}

// A Store is a place from which clients take the CAs they trust.
type Store interface {
	Name() string
	// Install returns the steps after which the store has this CA, and no other one of
	// ours. It has it already if there is none. The error is an [Absent] where there is
	// no such store here.
	Install(ctx context.Context, ca *x509.Certificate) ([]Step, error)
	// Uninstall returns the steps after which the store has no CA of ours.
	Uninstall(ctx context.Context) ([]Step, error)
}

// An Absent says why a store is not here.
type Absent struct{ Text string }

func (a *Absent) Error() string { return a.Text }

// Label is the name of a CA in a store: "certproxy-" and the first eight bytes of its
// SHA-256 in hexadecimal.
func Label(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.Raw)
	return "certproxy-" + hex.EncodeToString(sum[:8])
}

var labels = regexp.MustCompile(`^certproxy-[0-9a-f]{16}$`)

// encode returns the certificate as PEM.
func encode(ca *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
}

// isLabelOf reports whether a certificate is the one that a label names.
func isLabelOf(label string, certPEM []byte) bool {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && Label(cert) == label
}

// ourFiles returns the paths of our certificates in a directory, by their extension.
func ourFiles(dir, ext string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range entries {
		label, isCert := strings.CutSuffix(entry.Name(), ext)
		if !isCert || !labels.MatchString(label) || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, cause(err))
		}
		if isLabelOf(label, data) {
			out = append(out, path)
		}
	}
	return out, nil
}

// writeStep is the step that writes a certificate where clients of all users read it.
func writeStep(path string, ca *x509.Certificate) Step {
	return Step{Would: "write " + path, Did: "wrote " + path, Run: func(context.Context) error { return writeFile(path, encode(ca)) }}
}

// removeStep is the step that removes a file.
func removeStep(path string) Step {
	return Step{Would: "remove " + path, Did: "removed " + path, Run: func(context.Context) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove %s: %w", path, cause(err))
		}
		return nil
	}}
}

// writeFile puts a whole file in place at once.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".certproxy-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	return nil
}

// cause strips the path, which the error names already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// A runner runs a program and returns its standard output. The error has what it said.
type runner func(ctx context.Context, stdin string, args ...string) ([]byte, error)

func run(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	return runWith(func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "LC_ALL=C") })(ctx, stdin, args...)
}

// runWith returns a runner that has each command set up.
func runWith(setUp func(*exec.Cmd)) runner {
	return func(ctx context.Context, stdin string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		setUp(cmd)
		return output(cmd)
	}
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := lastLine(stderr.Bytes())
		if said == "" {
			said = lastLine(stdout.Bytes())
		}
		if said != "" {
			said = ": " + said
		}
		return nil, fmt.Errorf("%s failed (%w)%s", filepath.Base(cmd.Args[0]), err, said)
	}
	return stdout.Bytes(), nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
