// Package listing says what is in an index, in the words that certproxy list and the status
// page share. The field names of its JSON are a promise to programs.
package listing

import (
	"time"

	"github.com/certproxy/certproxy/certs"
)

// An Entry is one host directory.
type Entry struct {
	Host      string   `json:"host"`
	Directory string   `json:"directory"`
	Action    string   `json:"action"` // intercept, tunnel or unusable
	CARoots   []CARoot `json:"ca_roots"`
	Pairs     []Pair   `json:"pairs"`              // in the order in which they are tried
	Shadowed  []string `json:"shadowed,omitempty"` // directories that this one takes precedence over
}

// A CARoot is a certificate that a host's own is verified with.
type CARoot struct {
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
}

// A Pair is a client certificate with its key.
type Pair struct {
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

// A Problem is what cannot be used, or not for long.
type Problem struct {
	Host    string `json:"host,omitempty"`
	Pair    string `json:"pair,omitempty"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Detail  string `json:"detail,omitempty"`
	Hint    string `json:"hint"`
	Used    bool   `json:"used"` // a warning: the file is used all the same
}

// OfHost says what is in a host's directory.
func OfHost(ix *certs.Index, h *certs.Host) Entry {
	out := Entry{Host: h.Name, Directory: h.Dir, Action: h.Action.String(), CARoots: []CARoot{}, Pairs: []Pair{}, Shadowed: ix.Shadowed(h.Name)}
	for _, c := range h.CARoots {
		out.CARoots = append(out.CARoots, CARoot{c.Subject.String(), c.NotAfter})
	}
	for _, p := range h.Pairs {
		leaf := p.Leaf()
		out.Pairs = append(out.Pairs, Pair{
			Name: p.Name, CertFile: p.CertFile, KeyFile: p.KeyFile,
			Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.Text(16),
			KeyType: certs.KeyType(leaf), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		})
	}
	return out
}

// Problems are those that there are at this time, never nil.
func Problems(ix *certs.Index, now time.Time) []Problem {
	out := []Problem{}
	for _, p := range ix.Problems(now) {
		out = append(out, Problem{p.Host, p.Pair, p.Path, string(p.Kind), p.Detail, p.Hint, p.Used})
	}
	return out
}
