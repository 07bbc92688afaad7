package rig

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An Image is a container image of one layer with one file, which no compression
// makes smaller.
type Image struct {
	Dir      string     // an OCI image layout
	Tar      string     // the layer as it is, for docker import
	Manifest Descriptor // what the image is named by
	Layer    Descriptor // the layer, in gzip's format
}

// A Descriptor is how parts of an image name each other.
type Descriptor struct {
	MediaType string
	Digest    string
	Size      int64
}

func (d Descriptor) String() string {
	return fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d}`, d.MediaType, d.Digest, d.Size)
}

// NewImage makes an image below dir whose file has this size.
func NewImage(t testing.TB, dir string, size int64) *Image {
	t.Helper()
	im := &Image{Dir: filepath.Join(dir, "image"), Tar: filepath.Join(dir, "layer.tar")}
	Write(t, im.Dir, "oci-layout", []byte(`{"imageLayoutVersion": "1.0.0"}`), 0o644)
	if err := os.MkdirAll(filepath.Join(im.Dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	diff := im.writeLayer(t, size)
	config := im.add(t, "application/vnd.oci.image.config.v1+json",
		`{"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [%q]}}`, diff)
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	im.Manifest = im.add(t, manifest, `{"schemaVersion": 2, "mediaType": %q, "config": %s, "layers": [%s]}`, manifest, config, im.Layer)
	Write(t, im.Dir, "index.json", fmt.Appendf(nil, `{"schemaVersion": 2, "manifests": [%s]}`, im.Manifest), 0o644)
	return im
}

// File is where the image keeps the part with this digest.
func (im *Image) File(digest string) string {
	return filepath.Join(im.Dir, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
}

func (im *Image) add(t testing.TB, mediaType, format string, args ...any) Descriptor {
	t.Helper()
	data := fmt.Appendf(nil, format, args...)
	d := Descriptor{mediaType, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), int64(len(data))}
	if err := os.WriteFile(im.File(d.Digest), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// writeLayer writes the layer, as it is and in gzip's format, and returns the
// digest of the first.
func (im *Image) writeLayer(t testing.TB, size int64) (diff string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	plain, err := os.Create(im.Tar)
	check(err)
	defer plain.Close()
	blob, err := os.Create(im.File("unnamed"))
	check(err)
	defer blob.Close()

	plainSum, blobSum := sha256.New(), sha256.New()
	// Stored, not compressed: that would take long and change nothing.
	zip, err := gzip.NewWriterLevel(io.MultiWriter(blob, blobSum), gzip.NoCompression)
	check(err)
	archive := tar.NewWriter(io.MultiWriter(plain, plainSum, zip))
	check(archive.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: size}))
	_, err = io.Copy(archive, io.LimitReader(rand.NewChaCha8([32]byte{7}), size))
	check(err)
	check(archive.Close())
	check(zip.Close())
	info, err := blob.Stat()
	check(err)
	im.Layer = Descriptor{"application/vnd.oci.image.layer.v1.tar+gzip", fmt.Sprintf("sha256:%x", blobSum.Sum(nil)), info.Size()}
	check(os.Rename(blob.Name(), im.File(im.Layer.Digest)))
	return fmt.Sprintf("sha256:%x", plainSum.Sum(nil))
}
