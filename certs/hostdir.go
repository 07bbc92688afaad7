package certs

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A dirReader turns one host directory into a Host.
type dirReader struct {
	fsys fs.FS
	base string // the host directory's name in fsys
	host *Host
	last *Host   // the value before, or nil
	own  ownFunc // tells the local CA's certificate; nil tells none

	files map[string]fs.FileInfo // by name, without dot names; nil for a link that leads nowhere
	other bool                   // a file that asks for a client certificate, in a form that is not read
}

// readHost reads the host directory base of fsys, whose path is dir. last, which may be nil, gives the last good value
// of files that are there but cannot be used at the moment: half-written ones.
func readHost(fsys fs.FS, base, dir, name string, list dirListing, last *Host, own ownFunc) *Host {
	r := &dirReader{
		fsys: fsys, base: base, last: last, own: own,
		host:  &Host{Name: name, Dir: dir, caFiles: map[string][]*x509.Certificate{}},
		files: map[string]fs.FileInfo{},
	}
	if list.err != nil {
		r.problem(Problem{
			Kind: ErrUnreadable, Path: dir, Detail: unreadable(list.self, list.err),
			Hint: "let certproxy's user read it: chmod o+rx " + quote(dir) + ", or setfacl -m u:USER:rx " + quote(dir),
		})
		r.host.Action = Unusable
		return r.host
	}
	// The listing is sorted by file name, bytewise: that is the order of the pairs.
	var certs, keys, roots []string
	for _, entry := range list.entries {
		if !r.admit(entry) {
			continue
		}
		switch file := entry.name; path.Ext(file) {
		case ".cert":
			certs = append(certs, file)
		case ".key":
			keys = append(keys, file)
		case ".crt":
			roots = append(roots, file)
		default:
			r.misnamed(file)
		}
	}
	if r.has("tls.crt") && r.has("tls.key") && !r.has("tls.cert") {
		roots = without(roots, "tls.crt")
		keys = without(keys, "tls.key")
		r.kubernetesNames()
	}
	for _, file := range roots {
		r.readCARoots(file)
	}
	for _, file := range certs {
		r.readPair(strings.TrimSuffix(file, ".cert"))
	}
	for _, file := range keys {
		r.orphanKey(strings.TrimSuffix(file, ".key"))
	}
	r.checkChains()
	r.decide(len(certs)+len(keys) > 0)
	return r.host
}

// admit notes a directory entry and reports whether it is a file to look at.
func (r *dirReader) admit(entry dirEntry) bool {
	file := entry.name
	if strings.HasPrefix(file, ".") { // Kubernetes' ..data among them
		return false
	}
	if entry.info != nil && entry.info.IsDir() {
		if ext := path.Ext(file); ext == ".crt" || ext == ".cert" || ext == ".key" {
			r.problem(Problem{
				Kind: ErrIsDirectory, Path: r.path(file),
				Hint: "move its files up into " + quote(r.host.Dir) + " and remove it: sub-directories are not read",
			})
		}
		return false
	}
	r.files[file] = entry.info
	return true
}

func (r *dirReader) has(file string) bool { _, ok := r.files[file]; return ok }

func (r *dirReader) path(file string) string { return path.Join(r.host.Dir, file) }

func (r *dirReader) problem(p Problem) {
	p.Host = r.host.Name
	r.host.Problems = append(r.host.Problems, p)
}

// decide says what the directory leads to. Where somebody meant a client
// certificate to be shown and none can be, the host is unusable: a tunnel would
// hide the mistake, and so would a request without the certificate.
func (r *dirReader) decide(pairsMeant bool) {
	h := r.host
	switch {
	case len(h.Pairs) > 0:
		h.Action = Intercept
	case pairsMeant || r.has("tls.key"):
		h.Action = Unusable
	case len(h.caFiles) > 0:
		h.Action = Intercept
		if len(h.CARoots) == 0 && h.anyUnreadable() {
			h.Action = Unusable
		}
	case r.other:
		h.Action = Unusable
	default:
		h.Action = Tunnel
		r.problem(Problem{
			Kind: ErrEmpty, Path: h.Dir, Detail: "it holds no *.crt and no pair, so the host is tunnelled",
			Hint: "put X.cert and X.key into it, or remove the directory", Used: true,
		})
	}
}

func (h *Host) anyUnreadable() bool {
	return slices.ContainsFunc(h.Problems, func(p Problem) bool { return errors.Is(p, ErrUnreadable) })
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == name })
}
