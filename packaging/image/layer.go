package main

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"time"
)

// An entry is a file or, with a slash at the end of its name, a directory.
type entry struct {
	name  string
	mode  int64 // 0 is 0755
	owner int   // user and group
	data  []byte
}

// opener returns what reads the entries as a tar, as often as it is asked to.
func opener(entries []entry, at time.Time) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, e := range entries {
			header := &tar.Header{
				Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner,
				Size: int64(len(e.data)), ModTime: at, Format: tar.FormatPAX,
			}
			if strings.HasSuffix(e.name, "/") {
				header.Typeflag = tar.TypeDir
			}
			if e.mode == 0 {
				header.Mode = 0o755
			}
			if err := w.WriteHeader(header); err != nil {
				return nil, err
			}
			if _, err := w.Write(e.data); err != nil {
				return nil, err
			}
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		return io.NopCloser(&out), nil
	}
}
