package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Pair is a client certificate chain with its private key, named by its file.
// It never prints its key: every fmt verb prints the name alone.
type Pair struct {
	Name     string // "client" for client.cert and client.key
	CertFile string // path
	KeyFile  string // path; the same as CertFile where that holds the key too
	Stale    bool   // the files cannot be used now, and this is their last good value

	certificate tls.Certificate
	id          [sha256.Size]byte
}

// TLS returns the whole chain and the key. The caller must not change it.
func (p *Pair) TLS() *tls.Certificate { return &p.certificate }

// Leaf returns the client certificate itself.
func (p *Pair) Leaf() *x509.Certificate { return p.certificate.Leaf }

// ID identifies the chain, and with it the key: the digest of its certificates.
func (p *Pair) ID() [sha256.Size]byte { return p.id }

// Format prints the name, whatever the verb, so that no log can hold the key.
func (p *Pair) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.Name) }

// digest hashes byte strings with their lengths, so that no two lists collide.
func digest(list [][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, raw := range list {
		_, _ = fmt.Fprintf(h, "%d:", len(raw))
		_, _ = h.Write(raw)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// readPair adds the pair of X.cert, with its key from X.key or from X.cert itself.
func (r *dirReader) readPair(name string) {
	certFile, keyFile := name+".cert", name+".key"
	certPEM, certInfo, err := r.read(certFile)
	if err != nil {
		r.unreadablePair(name, certFile, certInfo, err)
		return
	}
	keyPEM, keyInfo := certPEM, certInfo
	if r.has(keyFile) {
		if keyPEM, keyInfo, err = r.read(keyFile); err != nil {
			r.unreadablePair(name, keyFile, keyInfo, err)
			return
		}
	} else if keyFile = certFile; !holdsKey(certPEM) {
		r.problem(Problem{
			Kind: ErrNoKey, Pair: name, Path: r.path(certFile), Detail: "there is no " + name + ".key",
			Hint: "put the key into " + quote(r.path(name+".key")) + "; if this is a CA root: mv " +
				quote(r.path(certFile)) + " " + quote(r.path(name+".crt")),
		})
		return
	}
	certificate, p, inCert := parsePair(certPEM, keyPEM)
	if p != nil {
		file := keyFile
		if inCert {
			file = certFile
		}
		r.broken(name, file, *p)
		return
	}
	pair := &Pair{
		Name: name, CertFile: r.path(certFile), KeyFile: r.path(keyFile),
		certificate: certificate,
	}
	pair.id = digest(certificate.Certificate)
	r.host.Pairs = append(r.host.Pairs, pair)
	if keyInfo.Mode().Perm()&0o004 != 0 {
		r.problem(Problem{
			Kind: ErrKeyExposed, Pair: name, Path: pair.KeyFile, Detail: "mode " + keyInfo.Mode().Perm().String(), Used: true,
			Hint: "chmod o-rwx " + quote(pair.KeyFile) + " (in Kubernetes: defaultMode: 0400 on the secret volume)",
		})
	}
	if leaf := pair.Leaf(); !isClient(leaf) {
		r.problem(Problem{
			Kind: ErrNoClientAuth, Pair: name, Path: pair.CertFile, Used: true,
			Detail: "its extended key usage has no clientAuth, and most servers refuse it",
			Hint:   "have it issued again with extendedKeyUsage = clientAuth",
		})
	}
}

func (r *dirReader) unreadablePair(name, file string, info fs.FileInfo, err error) {
	r.broken(name, file, Problem{Kind: ErrUnreadable, Detail: unreadable(info, err)})
}

// broken reports a pair that cannot be used now, and keeps its last good value while
// its files are there: they may be half-written.
func (r *dirReader) broken(name, file string, p Problem) {
	p.Pair, p.Path = name, r.path(file)
	certFile, keyFile := quote(r.path(name+".cert")), quote(r.path(name+".key"))
	switch p.Kind {
	case ErrUnreadable:
		p.Hint = "let certproxy's user read it: setfacl -m u:USER:r " + quote(p.Path) + ", or chgrp and chmod g+r"
	case ErrMismatch:
		p.Hint = "put the key that belongs to " + certFile + " into " + keyFile +
			"; openssl x509 -pubkey -noout -in " + certFile + " and openssl pkey -pubout -in " + keyFile + " must print the same"
	case ErrEncrypted:
		p.Hint = "write the key without its passphrase, readable by certproxy alone: (umask 077; openssl pkey -in " +
			quote(p.Path) + " -out plain.key) && mv plain.key " + quote(p.Path)
	default:
		p.Hint = "write it as PEM: openssl x509 -inform DER -in FILE converts a certificate, openssl pkey -inform DER -in FILE a key"
	}
	if old := r.lastPair(name); old != nil {
		kept := *old
		kept.Stale = true
		r.host.Pairs = append(r.host.Pairs, &kept)
		p.Detail = strings.TrimPrefix(p.Detail+"; the pair's last good value is still used", "; ")
	}
	r.problem(p)
}

// lastPair returns the last good value of a pair all of whose files are still there.
func (r *dirReader) lastPair(name string) *Pair {
	if r.last == nil {
		return nil
	}
	for _, old := range r.last.Pairs {
		if old.Name == name && r.has(path.Base(old.CertFile)) && r.has(path.Base(old.KeyFile)) {
			return old
		}
	}
	return nil
}

// checkChains looks for intermediates that lie in the directory but not in the chain.
func (r *dirReader) checkChains() {
	known := slices.Clone(r.host.CARoots)
	for _, pair := range r.host.Pairs {
		known = append(known, chainOf(pair)...)
	}
	for _, pair := range r.host.Pairs {
		if detail, _ := chainGap(chainOf(pair), known); detail != "" {
			r.problem(Problem{
				Kind: ErrChainIncomplete, Pair: pair.Name, Path: pair.CertFile, Detail: detail, Used: true,
				Hint: "append the issuer's certificate: cat INTERMEDIATE.pem >> " + quote(pair.CertFile),
			})
		}
	}
}

// chainOf parses a pair's chain. Certificates after the leaf that do not parse are
// sent to the server all the same, so they only end the list here.
func chainOf(p *Pair) []*x509.Certificate {
	chain := []*x509.Certificate{p.Leaf()}
	for _, der := range p.certificate.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			break
		}
		chain = append(chain, c)
	}
	return chain
}
