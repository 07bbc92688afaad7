package integration

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// writeIndexes writes, for any web server of static files at the URL, an index of packages for each
// kind of client, each with one package hello that has the text in hello.txt.
func writeIndexes(t *testing.T, dir, url, text string) {
	t.Helper()
	write := func(name string, data []byte) { rig.Write(t, dir, name, data, 0o644) }
	write("hello.txt", []byte(text))
	write("bucket/hello.txt", []byte(text)) // of S3

	// pip: PEP 503, PEP 427.
	const info = "hello-1.0.dist-info/"
	wheel := zipped(t, "hello.txt", text,
		info+"METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
		info+"WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info+"RECORD", "hello.txt,,\n"+info+"METADATA,,\n"+info+"WHEEL,,\n"+info+"RECORD,,\n")
	write("simple/hello/hello-1.0-py3-none-any.whl", wheel)
	write("simple/hello/index.html", fmt.Appendf(nil, "<!DOCTYPE html><a href='hello-1.0-py3-none-any.whl#sha256=%x'>hello-1.0-py3-none-any.whl</a>", sha256.Sum256(wheel)))

	// npm: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
	pack := tarball(t, "package/package.json", `{"name":"hello","version":"1.0.0"}`, "package/hello.txt", text)
	sum := sha512.Sum512(pack)
	write("npm/hello-1.0.0.tgz", pack)
	write("npm/hello", marshal(t, map[string]any{"name": "hello", "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{"1.0.0": map[string]any{
		"name": "hello", "version": "1.0.0",
		"dist": map[string]string{"tarball": url + "/npm/hello-1.0.0.tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])},
	}}}))

	// cargo: https://doc.rust-lang.org/cargo/reference/registry-index.html
	crate := tarball(t, "hello-1.0.0/Cargo.toml", "[package]\nname = \"hello\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
		"hello-1.0.0/src/lib.rs", "", "hello-1.0.0/hello.txt", text)
	write("cargo/crates/hello/1.0.0/download", crate)
	write("cargo/index/config.json", marshal(t, map[string]string{"dl": url + "/cargo/crates"}))
	write("cargo/index/he/ll/hello", marshal(t, map[string]any{"name": "hello", "vers": "1.0.0", "deps": []any{},
		"cksum": fmt.Sprintf("%x", sha256.Sum256(crate)), "features": map[string]any{}, "yanked": false}))

	// go: https://go.dev/ref/mod#goproxy-protocol
	const module = "module example.test/hello\n"
	write("go/example.test/hello/@v/list", []byte("v1.0.0\n"))
	write("go/example.test/hello/@v/v1.0.0.info", []byte(`{"Version":"v1.0.0"}`))
	write("go/example.test/hello/@v/v1.0.0.mod", []byte(module))
	write("go/example.test/hello/@v/v1.0.0.zip", zipped(t, "example.test/hello@v1.0.0/go.mod", module, "example.test/hello@v1.0.0/hello.txt", text))

	// Maven: a parent of projects.
	pom := []byte("<project><modelVersion>4.0.0</modelVersion><groupId>test.hello</groupId><artifactId>hello</artifactId><version>1.0</version>" +
		"<packaging>pom</packaging><!-- " + text + " --></project>")
	write("maven/test/hello/hello/1.0/hello-1.0.pom", pom)
	write("maven/test/hello/hello/1.0/hello-1.0.pom.sha1", fmt.Appendf(nil, "%x", sha1.Sum(pom)))

	// Terraform: https://developer.hashicorp.com/terraform/language/modules/sources#http-urls
	write("hello.tar.gz", tarball(t, "main.tf", "", "hello.txt", text))
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// zipped and tarball return an archive of files, given as names and texts.
func zipped(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	w := tar.NewWriter(packed)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
