package check

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path"
	"strings"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
)

// fromProblem makes a finding of a problem of the index.
func (r *run) fromProblem(p certs.Problem) Finding {
	f := Finding{Level: Error, About: p.Path, Text: string(p.Kind), Fix: p.Hint}
	if p.Used {
		f.Level = Warning
	}
	if p.Detail != "" {
		f.Text += ": " + p.Detail
	}
	if strings.HasPrefix(f.Text, "cannot be read: mode") {
		f.Text = "it " + f.Text
	}
	f.Fix, f.Advice = cure(p)
	if os.Geteuid() != 0 && (p.Kind == certs.ErrUnreadable || p.Kind == certs.ErrRoot) && strings.Contains(p.Detail, "certproxy runs as") {
		f.Text = strings.Replace(f.Text, "certproxy runs as", "this check runs as", 1)
		f.Fix = "sudo " + r.Again
		f.Advice = "only its owner, or root, can look; if certproxy itself runs as this user, " + p.Hint
	}
	return f
}

// cure is what to do about a problem.
func cure(p certs.Problem) (fix, advice string) {
	file, dir := shell.Quote(p.Path), path.Dir(p.Path)
	move := func(from, to string) string {
		return "mv " + shell.Quote(path.Join(dir, from)) + " " + shell.Quote(path.Join(dir, to))
	}
	switch p.Kind {
	case certs.ErrNoKey:
		return "install -m 600 CLIENT-KEY.pem " + shell.Quote(path.Join(dir, p.Pair+".key")), p.Hint
	case certs.ErrExtension:
		if to := meant(p.Path); to != "" {
			return move(path.Base(p.Path), to), "only *.crt (CA roots) and X.cert with X.key are read"
		}
	case certs.ErrKubernetesNames:
		return move("tls.crt", "client.cert") + " && " + move("tls.key", "client.key"),
			"in Kubernetes, map them in the volume: items: [{key: tls.crt, path: client.cert}, {key: tls.key, path: client.key}]"
	case certs.ErrKeyExposed:
		return "chmod o-rwx " + file, "in Kubernetes: defaultMode: 0400 on the secret volume"
	case certs.ErrEncrypted:
		plain := shell.Quote(p.Path + ".plain")
		return "(umask 077; openssl pkey -in " + file + " -out " + plain + ") && mv " + plain + " " + file,
			"whoever may read it then needs no passphrase: let that be certproxy alone"
	case certs.ErrMismatch:
		return "openssl x509 -pubkey -noout -in " + shell.Quote(path.Join(dir, p.Pair+".cert")) + "\nopenssl pkey -pubout -in " + shell.Quote(path.Join(dir, p.Pair+".key")),
			"both must print the same: put the key that belongs to the certificate in place of the one there"
	case certs.ErrChainIncomplete:
		return "cat INTERMEDIATE.pem >> " + file, "it is the certificate of the issuer, in PEM"
	case certs.ErrNotYetValid:
		return "timedatectl", "correct the clock here, or wait until then"
	case certs.ErrExpired, certs.ErrExpiresSoon, certs.ErrNoClientAuth:
		return "openssl x509 -noout -subject -issuer -serial -dates -ext extendedKeyUsage -in " + file, p.Hint
	case certs.ErrMisspelt:
		if i := strings.Index(p.Hint, ", if "); i > 0 {
			return p.Hint[:i], strings.TrimPrefix(p.Hint[i:], ", ")
		}
	}
	// A hint that is a command, with or without its reason in front.
	for _, command := range []string{"mv ", "openssl "} {
		if i := strings.Index(p.Hint, command); i == 0 || i > 0 && strings.HasSuffix(p.Hint[:i], ": ") && !strings.Contains(p.Hint[:i], "if ") && !strings.Contains(p.Hint[i:], "; ") {
			return p.Hint[i:], strings.TrimSuffix(p.Hint[:i], ": ")
		}
	}
	return "", p.Hint
}

// meant returns the name that a .pem or .cer file should have by what it holds, or "".
func meant(file string) string {
	base, ext := strings.TrimSuffix(path.Base(file), path.Ext(file)), strings.ToLower(path.Ext(file))
	if ext != ".pem" && ext != ".cer" {
		return ""
	}
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPEM {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return ""
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		for _, suffix := range []string{"-key", "_key", ".key"} {
			base = strings.TrimSuffix(base, suffix)
		}
		return base + ".key"
	case block.Type != "CERTIFICATE":
		return ""
	}
	c, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case c.IsCA:
		return base + ".crt"
	}
	for _, suffix := range []string{"-cert", "_cert", ".cert"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return base + ".cert"
}

// maxPEM bounds what is read of a file that has the wrong name, in bytes.
const maxPEM = 1 << 20

// lookAtAllHosts reports every problem of the index.
func (r *run) lookAtAllHosts() {
	for _, p := range r.index.Problems(r.now) {
		rank := rankFiles
		if errors.Is(p, certs.ErrMisspelt) || errors.Is(p, certs.ErrRoot) || errors.Is(p, certs.ErrHostName) {
			rank = rankDirectory
		}
		r.report.add(rank, r.fromProblem(p))
	}
	hosts := r.index.Hosts()
	if len(hosts) == 0 {
		var list []string
		for _, root := range r.Roots {
			list = append(list, root.Path)
		}
		r.report.add(rankDirectory, Finding{Level: Warning, About: strings.Join(list, ", "), Text: "no host has a directory, so every host is tunnelled",
			Fix: "mkdir -p " + shell.Quote(path.Join(r.firstRoot(), "HOST:PORT")), Advice: "put client.cert and client.key into it"})
		return
	}
	for _, h := range hosts {
		if h.Action == certs.Intercept && len(h.ProblemsAt(r.now)) == 0 {
			r.report.add(rankFiles, Finding{Level: OK, About: h.Name, Text: used(h) + " (" + h.Dir + ")"})
		}
	}
}
