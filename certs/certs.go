// Package certs reads certs.d trees and answers one question: which client
// certificates belong to a host, and in which order?
//
// It turns files into values. It opens no connection, starts no goroutine that
// outlives a call and writes no log line; whatever it cannot use becomes a
// [Problem] with a hint, so one broken pair never hides its neighbours.
//
// The layout is Docker's: <root>/<host>[:<port>]/ with *.crt for the CA roots and
// X.cert with X.key for each pair, in bytewise order of the file names
// (https://docs.docker.com/engine/security/certificates/).
package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"time"
)

// An Action says what a host's directory leads to.
type Action int

const (
	// Tunnel carries the bytes untouched: the directory is empty.
	Tunnel Action = iota
	// Intercept terminates the client's TLS and presents the host's pairs, or no
	// certificate where the directory holds CA roots only.
	Intercept
	// Unusable means that the directory asks for certificates and none can be
	// used: a request is answered with the reason, never tunnelled silently.
	Unusable
)

// String returns the word that logs and listings use.
func (a Action) String() string {
	return [...]string{"tunnel", "intercept", "unusable"}[a]
}

// A Host is one canonical name:port with its CA roots and pairs. It is immutable.
type Host struct {
	Name     string              // canonical, as [ParseAuthority] returns it
	Dir      string              // the host directory it was read from
	Action   Action              // what the directory leads to
	CARoots  []*x509.Certificate // of *.crt; added to the system roots
	Pairs    []*Pair             // usable pairs, in the order to try them
	Problems []Problem           // all but those that depend on the time: see [Host.ProblemsAt]

	// Generation grows with every host value a [Store] makes. Of two values for
	// one name, the greater is the newer.
	Generation uint64

	caFiles map[string][]*x509.Certificate // by file name, for the last good value
}

// TrustID identifies the set of CA roots: connections made under one TrustID must
// not serve a host with another.
func (h *Host) TrustID() [sha256.Size]byte {
	raw := make([][]byte, len(h.CARoots))
	for i, c := range h.CARoots {
		raw[i] = c.Raw
	}
	return digest(raw)
}

// Reason says in one line why the host is [Unusable]; "" for other actions.
func (h *Host) Reason() string {
	if h.Action != Unusable {
		return ""
	}
	for _, p := range h.Problems {
		if !p.Used {
			return p.Error()
		}
	}
	return h.Dir + ": no usable pair"
}

// ProblemsAt returns every problem of the host at the given time: those of its
// files, then pairs that have expired, are not valid yet or expire soon.
func (h *Host) ProblemsAt(now time.Time) []Problem {
	out := append([]Problem(nil), h.Problems...)
	for _, pair := range h.Pairs {
		if p, ok := pair.expiry(now); ok {
			p.Host = h.Name
			out = append(out, p)
		}
	}
	return out
}
