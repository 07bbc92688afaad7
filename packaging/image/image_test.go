package main

import (
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestRootsAreThoseOfAPinnedModule(t *testing.T) {
	text, err := systemRoots()
	if err != nil {
		t.Fatal(err)
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the bundle")
	}
}

func TestImageIsOfNobodyAndAsksTheBinary(t *testing.T) {
	r := recipe{version: "v1.0.0", time: time.Unix(1767366245, 0).UTC(), health: []string{"/certproxy", "status"}}
	image, err := r.image("arm64", []byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || config.Config.User != "65532:65532" || !config.Created.Time.Equal(r.time) {
		t.Errorf("the configuration is %+v", config)
	}
	if got, want := config.Config.Healthcheck.Test, []string{"CMD", "/certproxy", "status"}; !slices.Equal(got, want) {
		t.Errorf("the health check is %q; want %q", got, want)
	}
	if len(config.RootFS.DiffIDs) != 2 {
		t.Errorf("%d layers; want one of the system and one of the binary", len(config.RootFS.DiffIDs))
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run("v1", filepath.Join(t.TempDir(), "x.tar"), "../..", nil, []string{"amd64=/dev/null"}); err == nil {
		t.Error("a time that is no number is taken")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1767366245")
	dir := t.TempDir()
	if err := run("v1", filepath.Join(dir, "x.tar"), "../..", nil, []string{"amd64=" + filepath.Join(dir, "missing")}); err == nil {
		t.Error("a binary that is missing is taken")
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); err != io.EOF {
		t.Error("a failure leaves something behind")
	}
}
