package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAnEphemeralCASignsAndLeavesNothingOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TMPDIR", dir)
	c, err := Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := c.Leaf("registry.example")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Certificate())
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "registry.example"}); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v is in the directory", left, err)
	}
	other, err := Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	if other.Owns(c.Certificate()) {
		t.Error("two CAs have the same key")
	}
}

func TestTheCertificateIsReadWithoutTheKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := LoadCertificate(dir); !errors.Is(err, ErrNone) {
		t.Errorf("without a CA: %v", err)
	}
	c, err := Create(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	got, err := LoadCertificate(dir)
	if err != nil || !bytes.Equal(got.Raw, c.Certificate().Raw) {
		t.Errorf("LoadCertificate = %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, CertFile), []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCertificate(dir); !errors.Is(err, ErrNotPEM) {
		t.Errorf("garbage: %v", err)
	}
}
