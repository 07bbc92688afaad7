package main

import (
	"context"
	"net"
	"os"
	"strconv"

	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/proxy"
)

// An ownGate lets in the user who started certproxy, and root, who could read the keys
// as well. To all others even a tunnel is closed: the proxy is there for one command.
type ownGate struct {
	lookup *access.Lookup
	policy access.Policy
}

func newOwnGate() (*ownGate, error) {
	policy, err := access.Parse(access.Lists{Users: []string{strconv.Itoa(os.Geteuid()), "0"}})
	if err != nil {
		return nil, err
	}
	return &ownGate{lookup: access.NewLookup(), policy: policy}, nil
}

func (g *ownGate) close() error { return g.lookup.Close() }

// Arrived implements proxy.Gate.
func (g *ownGate) Arrived(conn net.Conn) proxy.Visitor {
	return &ownVisitor{gate: g, peer: g.lookup.Peer(conn)}
}

type ownVisitor struct {
	gate *ownGate
	peer *access.Peer
}

// UID implements proxy.Visitor.
func (v *ownVisitor) UID() (uint32, bool) { return v.peer.UID() }

// Name implements proxy.Visitor.
func (v *ownVisitor) Name() string { return "" }

// May implements proxy.Visitor.
func (v *ownVisitor) May(_ context.Context, ask proxy.Ask) *proxy.Denial {
	// A list for the host, and not one for all, narrows tunnels too.
	r := access.Request{Host: ask.Host, ForHost: v.gate.policy}
	if ask.Use == proxy.UseTunnel {
		r.Use = access.Tunnel
	}
	if refused := access.Decide(v.peer, r); refused != nil {
		return &proxy.Denial{Text: refused.Reason, Hint: "this proxy is private to the user who ran certproxy exec; run it as that user, or use certproxy serve with --allow-user"}
	}
	return nil
}
