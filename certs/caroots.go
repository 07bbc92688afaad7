package certs

import (
	"crypto/x509"
	"maps"
	"path"
	"slices"
)

// readCARoots adds a .crt file's certificates to the host's CA roots.
func (r *dirReader) readCARoots(file string) {
	data, info, err := r.read(file)
	var found []*x509.Certificate
	p := Problem{Path: r.path(file)}
	if err != nil {
		p.Kind, p.Detail = ErrUnreadable, unreadable(info, err)
		p.Hint = "let certproxy's user read it: chmod o+r " + quote(p.Path)
	} else if found = parseCARoots(data); len(found) == 0 {
		p.Kind, p.Detail = ErrNoCARoot, describe(trimBOM(data), "CERTIFICATE", "")
		p.Hint = "put the CA's certificate in it as PEM (openssl x509 -in FILE -inform DER converts), or remove it"
	}
	if p.Kind != "" {
		if r.last != nil && len(r.last.caFiles[file]) > 0 {
			found = r.last.caFiles[file]
			p.Detail += "; its last good value is still used"
		}
		r.problem(p)
	}
	theirs := slices.DeleteFunc(slices.Clone(found), func(c *x509.Certificate) bool { return r.own != nil && r.own(c) })
	if len(found) > 0 && len(theirs) == 0 {
		delete(r.files, file) // our own certificate, put there for dockerd: as if it were not there
		return
	}
	r.host.caFiles[file] = theirs
	for _, c := range theirs {
		if !slices.ContainsFunc(r.host.CARoots, c.Equal) {
			r.host.CARoots = append(r.host.CARoots, c)
		}
	}
}

// CARootFile returns the path of the host's .crt file that holds a CA root, or "" for
// none.
func (h *Host) CARootFile(c *x509.Certificate) string {
	for _, file := range slices.Sorted(maps.Keys(h.caFiles)) {
		if slices.ContainsFunc(h.caFiles[file], c.Equal) {
			return path.Join(h.Dir, file)
		}
	}
	return ""
}
