package certs

import (
	"io/fs"
	"os"
)

// dirFS is a directory of this machine as a file system. It is os.DirFS without the
// rule that names are UTF-8, which file names on Linux need not be.
type dirFS string

func (d dirFS) path(name string) string { return string(d) + "/" + name }

func (d dirFS) Open(name string) (fs.File, error) { return os.Open(d.path(name)) }

func (d dirFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(d.path(name)) }

func (d dirFS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(d.path(name)) }

func (d dirFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(d.path(name)) }

func (d dirFS) ReadLink(name string) (string, error) { return os.Readlink(d.path(name)) }
