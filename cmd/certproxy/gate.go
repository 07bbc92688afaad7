package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/htpasswd"
	"github.com/certproxy/certproxy/proxy"
)

// A gate says who may: by the user that the kernel names, by what the flags allow, and,
// where that is not enough, by a password.
type gate struct {
	lookup    *access.Lookup
	policy    access.Policy
	passwords *htpasswd.Store // nil for none
	log       *zap.Logger
}

// newGate returns the gate that the options describe. Its lookup has to be closed.
func newGate(o serveOptions) (*gate, error) {
	policy, err := access.Parse(o.allow)
	if err != nil {
		return nil, usageError{err}
	}
	g := &gate{lookup: access.NewLookup(), policy: policy, log: o.log}
	if o.passwords == "" {
		return g, nil
	}
	if g.passwords, err = htpasswd.Open(o.passwords); err != nil {
		return nil, err
	}
	if warning := g.passwords.File().Warning; warning != nil {
		o.log.Warn("passwords", zap.String("problem", warning.Error()))
	}
	return g, nil
}

// Arrived implements proxy.Gate.
func (g *gate) Arrived(conn net.Conn) proxy.Visitor {
	return &visitor{gate: g, peer: g.lookup.Peer(conn)}
}

// A visitor is one client connection. Nothing that was found out about it is used for
// another.
type visitor struct {
	gate *gate
	peer *access.Peer
}

// UID implements proxy.Visitor.
func (v *visitor) UID() (uint32, bool) { return v.peer.UID() }

// May implements proxy.Visitor. A password is looked at only where it decides.
func (v *visitor) May(ctx context.Context, ask proxy.Ask) *proxy.Denial {
	r := access.Request{Host: ask.Host, Global: v.gate.policy}
	if ask.Use == proxy.UseTunnel {
		r.Use = access.Tunnel
	}
	refused := access.Decide(v.peer, r)
	if refused == nil {
		return nil
	}
	hint := "start certproxy with --allow-user '*' to let every user of this machine"
	if uid, known := v.peer.UID(); known {
		hint = fmt.Sprintf("start certproxy with --allow-user %d to let them", uid)
	}
	if !refused.Authenticate || v.gate.passwords == nil {
		return &proxy.Denial{Text: refused.Reason, Hint: hint}
	}
	if ask.Authorization == "" {
		return &proxy.Denial{Text: refused.Reason, Hint: "send a user and a password of the htpasswd file, as in http://USER:PASSWORD@HOST:PORT; or " + hint, Challenge: true}
	}
	name, denied := v.authenticate(ctx, ask.Authorization)
	if denied != nil {
		return denied
	}
	r.Authenticated = name
	if refused = access.Decide(v.peer, r); refused != nil {
		return &proxy.Denial{Text: refused.Reason, Hint: hint}
	}
	return nil
}

// authenticate returns the user of Basic credentials (RFC 7617).
func (v *visitor) authenticate(ctx context.Context, authorization string) (name string, denied *proxy.Denial) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || !strings.EqualFold(scheme, "Basic") {
		return "", &proxy.Denial{Text: "the proxy's credentials are not of the form that Basic has", Hint: "send a user and a password", Challenge: true}
	}
	answer, err := v.gate.passwords.Verify(ctx, v.peer.Key(), name, password)
	if answer.Reload != nil {
		v.gate.log.Error("passwords not reloaded", zap.String("reason", answer.Reload.Error()), zap.String("hint", "those in use stay until the file is corrected"))
	}
	switch {
	case err != nil: // the client went while others were compared
		return "", &proxy.Denial{Text: "the password was not looked at", Hint: "try again", Challenge: true}
	case answer.Retry > 0:
		return "", &proxy.Denial{Text: "too many wrong passwords came from " + v.peer.Key() + " or for this user", Hint: "wait", Retry: answer.Retry}
	case !answer.OK:
		return "", &proxy.Denial{Text: "the user or the password is wrong", Hint: "correct it in HTTPS_PROXY, or in the htpasswd file", Challenge: true}
	}
	return name, nil
}
