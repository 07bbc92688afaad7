package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/htpasswd"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/proxy"
)

// A gate says who may: by the user that the kernel names, by what the configuration in
// use allows, and, where that is not enough, by a password.
type gate struct {
	lookup   *access.Lookup
	settings *settings
	log      *zap.Logger
}

// newGate returns a gate. Its lookup has to be closed.
func newGate(s *settings, log *zap.Logger) *gate {
	return &gate{lookup: access.NewLookup(), settings: s, log: log}
}

// Arrived implements proxy.Gate.
func (g *gate) Arrived(conn net.Conn) proxy.Visitor {
	v := &visitor{gate: g, peer: g.lookup.Peer(conn)}
	if secured, ok := conn.(*tls.Conn); ok {
		v.certified = listen.ClientName(secured.ConnectionState())
	}
	return v
}

// A visitor is one client connection. Nothing that was found out about it is used for
// another.
type visitor struct {
	gate *gate
	peer *access.Peer

	certified string                 // the name that its certificate proves; empty for none
	proven    atomic.Pointer[string] // the name that the last request has proven by a password; nil for none
}

// UID implements proxy.Visitor.
func (v *visitor) UID() (uint32, bool) { return v.peer.UID() }

// Name implements proxy.Visitor.
func (v *visitor) Name() string {
	if name := v.proven.Load(); name != nil {
		return *name
	}
	return v.certified
}

// May implements proxy.Visitor. A password is looked at only where it decides.
func (v *visitor) May(ctx context.Context, ask proxy.Ask) *proxy.Denial {
	name, denied := v.may(ctx, ask)
	if name != "" {
		v.proven.Store(&name)
	} else if v.proven.Load() != nil {
		v.proven.Store(nil)
	}
	return denied
}

// may returns also the name that a password has proven.
func (v *visitor) may(ctx context.Context, ask proxy.Ask) (name string, denied *proxy.Denial) {
	now := v.gate.settings.current.Load()
	r := access.Request{Host: ask.Host, Authenticated: v.certified, Global: now.policies.global, ForHost: now.policies.hosts[ask.Host]}
	if ask.Use == proxy.UseTunnel {
		r.Use = access.Tunnel
	}
	refused := access.Decide(v.peer, r)
	if refused == nil {
		return "", nil
	}
	hint := now.hint(refused, v.peer)
	if !refused.Authenticate || now.passwords == nil {
		return "", &proxy.Denial{Text: refused.Reason, Hint: hint}
	}
	if ask.Authorization == "" {
		return "", &proxy.Denial{Text: refused.Reason, Hint: "send a user and a password of the htpasswd file, as in http://USER:PASSWORD@HOST:PORT; or " + hint, Challenge: true}
	}
	if name, denied = v.authenticate(ctx, now.passwords, ask.Authorization); denied != nil {
		return "", denied
	}
	r.Authenticated = name
	if refused = access.Decide(v.peer, r); refused != nil {
		return name, &proxy.Denial{Text: refused.Reason, Hint: now.hint(refused, v.peer)}
	}
	return name, nil
}

// authenticate returns the user of Basic credentials (RFC 7617).
func (v *visitor) authenticate(ctx context.Context, passwords *htpasswd.Store, authorization string) (name string, denied *proxy.Denial) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || !strings.EqualFold(scheme, "Basic") {
		return "", &proxy.Denial{Text: "the proxy's credentials are not of the form that Basic has", Hint: "send a user and a password", Challenge: true}
	}
	answer, err := passwords.Verify(ctx, v.peer.Key(), name, password)
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
