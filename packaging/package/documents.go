package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
)

// manualPages compresses the pages of the manual.
func manualPages(manual, stage string) (files.Contents, error) {
	pages, err := filepath.Glob(filepath.Join(manual, "man", "*.[15]"))
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("%s holds no manual page", manual)
	}
	var out files.Contents
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		zipped, err := zip(stage, filepath.Base(page), text)
		if err != nil {
			return nil, err
		}
		section := strings.TrimPrefix(filepath.Ext(page), ".")
		out = append(out, file(zipped, "/usr/share/man/man"+section+"/"+filepath.Base(zipped)))
	}
	return out, nil
}

// changelogs are ours and, for Debian, the package's own, which says no more than
// where ours is.
func changelogs(packager, stage string, info *nfpm.Info, at time.Time) (files.Contents, error) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return nil, err
	}
	ours, err := zip(stage, "changelog", text)
	if err != nil || packager != "deb" {
		return files.Contents{file(ours, "/usr/share/doc/certproxy/changelog.gz")}, err
	}
	// Debian Policy 4.4.
	debian := fmt.Sprintf("%s (%s-%s) unstable; urgency=medium\n\n  * What changed is in changelog.gz beside this file.\n\n -- %s  %s\n",
		info.Name, info.Version, info.Release, info.Maintainer, at.Format(time.RFC1123Z))
	theirs, err := zip(stage, "changelog.Debian", []byte(debian))
	return files.Contents{
		file(ours, "/usr/share/doc/certproxy/changelog.gz"),
		file(theirs, "/usr/share/doc/certproxy/changelog.Debian.gz"),
	}, err
}

// zip writes NAME.gz, as gzip -9n does: without a name and a time.
func zip(stage, name string, text []byte) (string, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(stage, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(stage, name+".gz")
	return path, os.WriteFile(path, out.Bytes(), 0o644)
}
