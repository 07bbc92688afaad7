package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself
)

// pack makes one package, and returns its path. What has to be made for it is put
// into stage.
func (o *options) pack(packager, stage string) (string, error) {
	env := map[string]string{
		"ARCH": o.arch, "PACKAGE_VERSION": packageVersion(o.version, o.time),
		"BINARY": o.binary, "MANUAL": o.manual,
	}
	config, err := nfpm.ParseFileWithEnvMapping("packaging/nfpm.yaml", func(name string) string { return env[name] })
	if err != nil {
		return "", err
	}
	info, err := config.Get(packager)
	if err != nil {
		return "", err
	}
	info.MTime = o.time
	units, err := readUnits("systemd")
	if err != nil {
		return "", err
	}
	info.Contents = append(info.Contents, units.contents()...)
	pages, err := manualPages(o.manual, stage)
	if err != nil {
		return "", err
	}
	info.Contents = append(info.Contents, pages...)
	logs, err := changelogs(packager, stage, info, o.time)
	if err != nil {
		return "", err
	}
	info.Contents = append(info.Contents, logs...)
	if info.Scripts, err = units.scripts(packager, stage); err != nil {
		return "", err
	}
	return o.write(packager, nfpm.WithDefaults(info))
}

// write leaves a whole package, or none.
func (o *options) write(packager string, info *nfpm.Info) (string, error) {
	p, err := nfpm.Get(packager)
	if err != nil {
		return "", err
	}
	if err := nfpm.PrepareForPackager(info, packager); err != nil {
		return "", err
	}
	path := filepath.Join(o.out, p.ConventionalFileName(info))
	f, err := os.CreateTemp(o.out, ".package-")
	if err != nil {
		return "", err
	}
	err = p.Package(info, f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return path, nil
}

// file is a file of the package that anybody may read.
func file(source, destination string) *files.Content {
	return &files.Content{Source: source, Destination: destination, FileInfo: &files.ContentFileInfo{Mode: 0o644}}
}
