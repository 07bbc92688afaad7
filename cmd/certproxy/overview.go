package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/listing"
)

// An overview is what certproxy list shows.
type overview struct {
	Roots    []string          `json:"roots"`
	Hosts    []listing.Entry   `json:"hosts"`
	Problems []listing.Problem `json:"problems"`
}

func newOverview(ix *certs.Index, roots []certs.Root, now time.Time) *overview {
	o := &overview{Roots: paths(roots), Hosts: []listing.Entry{}, Problems: listing.Problems(ix, now)}
	for _, h := range ix.Hosts() {
		o.Hosts = append(o.Hosts, listing.OfHost(ix, h))
	}
	return o
}

// unusable is how many problems keep something from being used.
func (o *overview) unusable() int {
	n := 0
	for _, p := range o.Problems {
		if !p.Used {
			n++
		}
	}
	return n
}

// print writes it for people.
func (o *overview) print(w io.Writer) error {
	var b strings.Builder
	if len(o.Hosts) == 0 {
		_, _ = fmt.Fprintf(&b, "no host has a directory in %s\n", strings.Join(o.Roots, ", "))
	}
	for _, h := range o.Hosts {
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
	if len(o.Problems) > 0 {
		_, _ = fmt.Fprintf(&b, "\nproblems:\n")
	}
	for _, p := range o.Problems {
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
