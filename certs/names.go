package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// rootError says why a root cannot be read.
func rootError(root Root, info fs.FileInfo, err error) error {
	if info != nil && !info.IsDir() {
		return fmt.Errorf("root %s is a file; name a directory that holds host directories", root.Path)
	}
	return fmt.Errorf("root %s cannot be read: %s; let certproxy's user list it, or name the roots to read with --certs",
		root.Path, unreadable(info, err))
}

// nameProblem judges the name of a host directory. The problem has no kind where
// there is none; ignored means that the directory is no host's.
func nameProblem(dirPath, name, authority string, err error) (p Problem, ignored bool) {
	switch {
	case name == "_default" || strings.ContainsAny(name, "*?"):
		return Problem{
			Kind: ErrWildcard, Path: dirPath,
			Hint: "make a directory for each host that may see the keys; this one is ignored",
		}, true
	case err != nil:
		return Problem{
			Kind: ErrHostName, Path: dirPath, Detail: err.Error(),
			Hint: "name it HOST:PORT, HOST_PORT_ or, for port 443, HOST; it is ignored",
		}, true
	case authority == "docker.io:443":
		return Problem{
			Kind: ErrDockerHub, Host: authority, Path: dirPath, Used: true,
			Hint: "name the host that clients dial: mv " + quote(dirPath) + " " + quote(path.Join(path.Dir(dirPath), "registry-1.docker.io")),
		}, false
	}
	return Problem{}, false
}

// stray reports a certificate or key that lies in the root itself.
func stray(root Root, name string) (Problem, bool) {
	switch path.Ext(name) {
	case ".crt", ".cert", ".key", ".pem", ".cer", ".p12", ".pfx":
		file := path.Join(root.Path, name)
		return Problem{
			Kind: ErrStray, Path: file,
			Hint: "move it into the directory of its host: mv " + quote(file) + " " + quote(path.Join(root.Path, "HOST:PORT")) + "/",
		}, true
	}
	return Problem{}, false
}

// misspelt looks beside the root for names that people write when they mean it.
func misspelt(root Root) []Problem {
	if root.Parent == nil || path.Base(root.Path) != "certs.d" {
		return nil
	}
	for _, name := range []string{"cert.d", "certs", "cert"} {
		info, err := fs.Stat(root.Parent, name)
		if err != nil || !info.IsDir() || name != "cert.d" && !holdsPair(root.Parent, name) {
			continue
		}
		wrong := path.Join(path.Dir(root.Path), name)
		return []Problem{{
			Kind: ErrMisspelt, Path: wrong, Detail: "it is not read",
			Hint: "mv " + quote(wrong) + " " + quote(root.Path) + ", if it was meant to be " + root.Path,
		}}
	}
	return nil
}

// holdsPair reports whether a directory has a sub-directory with a .cert file, as
// a misspelt root would.
func holdsPair(fsys fs.FS, dir string) bool {
	found, err := fs.Glob(fsys, dir+"/*/*.cert")
	return err == nil && len(found) > 0
}
