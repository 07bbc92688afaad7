package certs

import (
	"path"
	"strings"
)

// misnamed reports files whose extension shows that somebody meant them to be read.
func (r *dirReader) misnamed(file string) {
	ext := path.Ext(file)
	p := Problem{Kind: ErrExtension, Path: r.path(file)}
	base := strings.TrimSuffix(file, ext)
	switch strings.ToLower(ext) {
	case ".cer", ".pem", ".der":
		p.Hint = "a CA root: rename it to " + quote(base+".crt") + "; a client certificate: to " + quote(base+".cert") +
			" with its key in " + quote(base+".key") + " (PEM in either case)"
		r.other = true
	case ".p12", ".pfx":
		src := quote(r.path(file))
		p.Hint = "openssl pkcs12 -in " + src + " -nodes -nocerts -out " + quote(r.path(base+".key")) +
			" && openssl pkcs12 -in " + src + " -nokeys -out " + quote(r.path(base+".cert"))
		r.other = true
	case ".crt", ".cert", ".key":
		p.Hint = "extensions are lower case: mv " + quote(r.path(file)) + " " + quote(r.path(base+strings.ToLower(ext)))
		r.other = true
	default:
		if file != "hosts.toml" {
			return
		}
		p.Kind = ErrContainerd
		p.Hint = "put the CA roots (*.crt) and pairs (X.cert with X.key) it names into " + quote(r.host.Dir)
		p.Used = true
	}
	r.problem(p)
}

// kubernetesNames reports a Secret of type kubernetes.io/tls mounted as it is. Its
// tls.crt would be taken for a CA root.
func (r *dirReader) kubernetesNames() {
	r.other = true
	r.problem(Problem{
		Kind: ErrKubernetesNames, Path: r.path("tls.crt"), Pair: "tls",
		Hint: "map them in the volume: items: [{key: tls.crt, path: client.cert}, {key: tls.key, path: client.key}]",
	})
}

// orphanKey reports a key whose certificate is missing, and where it may be.
func (r *dirReader) orphanKey(name string) {
	if r.has(name + ".cert") {
		return
	}
	want := quote(r.path(name + ".cert"))
	hint := "put the client certificate into " + want
	for _, ext := range []string{".crt", ".pem", ".cer"} {
		if r.has(name + ext) {
			hint = "client certificates end in .cert (.crt is for CA roots): mv " + quote(r.path(name+ext)) + " " + want
			break
		}
	}
	r.problem(Problem{Kind: ErrNoCert, Pair: name, Path: r.path(name + ".key"), Detail: "there is no " + name + ".cert", Hint: hint})
}
