package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
)

// units are what systemd/ holds, by what becomes of it.
type units struct {
	dir                       string
	services, sockets, others []string // the system's: systemd/*.service and so on
	user                      []string // of each user: systemd/user/*
	examples                  []string // drop-ins for other units: systemd/drop-ins/*.conf
}

// readUnits finds them. Code and tests stand in the same folder.
func readUnits(dir string) (*units, error) {
	u := &units{dir: dir}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == "testdata" {
				return fs.SkipDir
			}
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch parent, kind := filepath.Dir(name), filepath.Ext(name); {
		case kind == ".go" || kind == ".md":
		case parent == "user":
			u.user = append(u.user, name)
		case parent != ".":
			u.examples = append(u.examples, name)
		case kind == ".service":
			u.services = append(u.services, name)
		case kind == ".socket":
			u.sockets = append(u.sockets, name)
		default:
			u.others = append(u.others, name)
		}
		return nil
	})
	if err == nil && len(u.services) == 0 {
		err = fmt.Errorf("%s holds no service", dir)
	}
	return u, err
}

func (u *units) all() []string {
	return append(append(append([]string{}, u.sockets...), u.services...), u.others...)
}

// contents says where each goes. A drop-in for another unit is an example: a package
// must not put a proxy before dockerd because it was installed.
func (u *units) contents() files.Contents {
	const examples = "/usr/share/doc/certproxy"
	var out files.Contents
	for _, name := range u.all() {
		out = append(out, file(filepath.Join(u.dir, name), "/usr/lib/systemd/system/"+name))
	}
	for _, name := range u.user {
		out = append(out, file(filepath.Join(u.dir, name), "/usr/lib/systemd/"+name))
	}
	folders := map[string]bool{}
	for _, name := range u.examples {
		out = append(out, file(filepath.Join(u.dir, name), examples+"/"+name))
		// rpm removes no directory that no package has.
		for dir := filepath.Dir(name); dir != "." && !folders[dir]; dir = filepath.Dir(dir) {
			folders[dir] = true
			out = append(out, &files.Content{Destination: filepath.Join(examples, dir), Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o755}})
		}
	}
	return out
}

// scripts fills in the maintainer scripts of packaging/deb or packaging/rpm.
func (u *units) scripts(packager, stage string) (nfpm.Scripts, error) {
	sysusers, err := os.ReadFile("packaging/sysusers.conf")
	if err != nil {
		return nfpm.Scripts{}, err
	}
	values := strings.NewReplacer(
		"@UNITS@", strings.Join(u.all(), " "),
		"@SERVICES@", strings.Join(u.services, " "),
		"@SOCKETS@", strings.Join(u.sockets, " "),
		"@SYSUSERS@", strings.TrimSpace(string(sysusers)),
	)
	names := []string{"postinst", "prerm", "postrm"}
	if packager == "rpm" {
		names = []string{"postinstall", "preremove", "postremove", "preinstall"}
	}
	paths := make([]string, 4) // a deb has no preinst
	for i, name := range names {
		text, err := os.ReadFile(filepath.Join("packaging", packager, name))
		if err != nil {
			return nfpm.Scripts{}, err
		}
		paths[i] = filepath.Join(stage, name)
		if err := os.WriteFile(paths[i], []byte(values.Replace(string(text))), 0o755); err != nil {
			return nfpm.Scripts{}, err
		}
	}
	return nfpm.Scripts{PostInstall: paths[0], PreRemove: paths[1], PostRemove: paths[2], PreInstall: paths[3]}, nil
}
