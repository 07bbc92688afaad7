package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
)

// A listing is the index as `certproxy list` shows it. The field names are a
// promise to programs.
type listing struct {
	Roots    []string       `json:"roots"`
	Hosts    []hostEntry    `json:"hosts"`
	Problems []problemEntry `json:"problems"`

	unusable int // problems that keep something from being used
}

type hostEntry struct {
	Host      string        `json:"host"`
	Directory string        `json:"directory"`
	Action    string        `json:"action"` // intercept, tunnel or unusable
	CARoots   []caRootEntry `json:"ca_roots"`
	Pairs     []pairEntry   `json:"pairs"`
	Shadowed  []string      `json:"shadowed,omitempty"` // directories that another takes precedence over
}

type caRootEntry struct {
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
}

type pairEntry struct {
	Name      string    `json:"name"`
	CertFile  string    `json:"cert_file"`
	KeyFile   string    `json:"key_file"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"` // hexadecimal
	KeyType   string    `json:"key_type"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

type problemEntry struct {
	Host    string `json:"host,omitempty"`
	Pair    string `json:"pair,omitempty"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Detail  string `json:"detail,omitempty"`
	Hint    string `json:"hint"`
	Used    bool   `json:"used"` // a warning: the file is used all the same
}

func newListing(ix *certs.Index, roots []certs.Root, now time.Time) *listing {
	l := &listing{Roots: paths(roots), Hosts: []hostEntry{}, Problems: []problemEntry{}}
	for _, h := range ix.Hosts() {
		e := hostEntry{Host: h.Name, Directory: h.Dir, Action: h.Action.String(), CARoots: []caRootEntry{}, Pairs: []pairEntry{}, Shadowed: ix.Shadowed(h.Name)}
		for _, c := range h.CARoots {
			e.CARoots = append(e.CARoots, caRootEntry{c.Subject.String(), c.NotAfter})
		}
		for _, p := range h.Pairs {
			leaf := p.Leaf()
			e.Pairs = append(e.Pairs, pairEntry{
				Name: p.Name, CertFile: p.CertFile, KeyFile: p.KeyFile,
				Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.Text(16),
				KeyType: certs.KeyType(leaf), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
			})
		}
		l.Hosts = append(l.Hosts, e)
	}
	for _, p := range ix.Problems(now) {
		l.Problems = append(l.Problems, problemEntry{p.Host, p.Pair, p.Path, string(p.Kind), p.Detail, p.Hint, p.Used})
		if !p.Used {
			l.unusable++
		}
	}
	return l
}

// print writes the listing for people.
func (l *listing) print(w io.Writer) error {
	var b strings.Builder
	if len(l.Hosts) == 0 {
		_, _ = fmt.Fprintf(&b, "no host has a directory in %s\n", strings.Join(l.Roots, ", "))
	}
	for _, h := range l.Hosts {
		_, _ = fmt.Fprintf(&b, "%s  %s  %s\n", h.Host, h.Action, h.Directory)
		for i, p := range h.Pairs {
			_, _ = fmt.Fprintf(&b, "  %d. %-12s %s, issued by %s, %s, until %s\n", i+1, p.Name,
				orDash(p.Subject), orDash(p.Issuer), p.KeyType, p.NotAfter.UTC().Format(time.DateOnly))
		}
		for _, c := range h.CARoots {
			_, _ = fmt.Fprintf(&b, "  CA root         %s, until %s\n", orDash(c.Subject), c.NotAfter.UTC().Format(time.DateOnly))
		}
		for _, dir := range h.Shadowed {
			_, _ = fmt.Fprintf(&b, "  not used        %s\n", dir)
		}
	}
	if len(l.Problems) > 0 {
		_, _ = fmt.Fprintf(&b, "\nproblems:\n")
	}
	for _, p := range l.Problems {
		kind := "error"
		if p.Used {
			kind = "warning"
		}
		_, _ = fmt.Fprintf(&b, "  %s: %s: %s", kind, p.Path, p.Problem)
		if p.Detail != "" {
			_, _ = fmt.Fprintf(&b, ": %s", p.Detail)
		}
		_, _ = fmt.Fprintf(&b, "\n    hint: %s\n", p.Hint)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ownCA tells the local CA's certificate, where there is one that can be read.
func ownCA(state string) func(*x509.Certificate) bool {
	dir, err := stateDir(state)
	if err != nil {
		return nil
	}
	authority, err := ca.Load(dir)
	if err != nil {
		return nil
	}
	return authority.Owns
}
