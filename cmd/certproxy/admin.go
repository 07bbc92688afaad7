package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/admin"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/proxy"
)

// keepRecent is how many of the last requests the status page knows.
const keepRecent = 100

// adminOptions say where the admin listener is, and for whom. The zero value is none.
type adminOptions struct {
	spec     listen.Spec
	on       bool
	optional bool          // it was not asked for by name: the proxy serves without it too
	policy   access.Policy // who may see it
}

// checkAdmin finds out where the admin listener shall be.
func (p *plan) checkAdmin() config.Mistakes {
	var mistakes config.Mistakes
	for i, name := range p.AdminUsers {
		if _, err := access.Parse(access.Lists{Users: []string{name}}); err != nil {
			mistakes = append(mistakes, p.origins.Of("", "admin_users", i).Mistake(strings.TrimPrefix(err.Error(), "allow_users: ")))
		}
	}
	addr := p.Admin
	if addr == "" {
		addr, p.admin.optional = defaultAdmin(os.Getenv, os.Geteuid()), true
	}
	if addr == "" || addr == "off" || len(mistakes) > 0 {
		return mistakes
	}
	var err error
	if p.admin.spec, err = parseAdmin(addr, len(p.AdminUsers) > 0); err != nil {
		return append(mistakes, p.origins.Of("", "admin", 0).Mistake(err.Error()))
	}
	p.admin.on = true
	// Root, our own user, and those named; on a unix socket the members of our own group
	// too, for whom its mode is.
	lists := access.Lists{Users: append([]string{"0", strconv.Itoa(os.Geteuid())}, p.AdminUsers...)}
	if p.admin.spec.Kind == listen.Unix {
		lists.Groups = []string{strconv.Itoa(os.Getegid())}
	}
	if p.admin.policy, err = access.Parse(lists); err != nil { // a user who was deleted just now
		mistakes = append(mistakes, config.Origin{}.Mistake(err.Error()))
	}
	return mistakes
}

// parseAdmin reads the address of an admin listener. It is for this machine alone. Who may
// write to a unix socket is our group, or everybody where users are named: they are told
// apart by their uid.
func parseAdmin(addr string, named bool) (listen.Spec, error) {
	spec, err := listen.Parse(addr)
	switch {
	case err != nil:
		return spec, err
	case spec.TLS || spec.Kind == listen.Systemd:
		return spec, fmt.Errorf("%q: the admin listener is a unix socket or an address of loopback; write unix:PATH or 127.0.0.1:PORT", addr)
	case spec.Beyond():
		return spec, fmt.Errorf("%s can be reached from other machines, and the admin listener is for this one; write 127.0.0.1:PORT, or unix:PATH", addr)
	case spec.Kind == listen.Unix && !strings.Contains(addr, ",mode="):
		spec.Mode = 0o660
		if named {
			spec.Mode = 0o666
		}
	}
	return spec, nil
}

const systemAdmin = "unix:/run/certproxy/admin.sock"

// defaultAdmin is where the admin listener is when nobody says where; empty where there
// is no place for it.
func defaultAdmin(getenv func(string) string, uid int) string {
	runtime, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":") // systemd's, for RuntimeDirectory=
	switch {
	case filepath.IsAbs(runtime):
		return "unix:" + filepath.Join(runtime, "admin.sock")
	case uid == 0:
		return systemAdmin
	case filepath.IsAbs(getenv("XDG_RUNTIME_DIR")):
		return "unix:" + filepath.Join(getenv("XDG_RUNTIME_DIR"), "certproxy", "admin.sock")
	}
	return ""
}

// An administration is the admin listener and what it shows. Without a listener it is
// nil, and nothing is counted.
type administration struct {
	listener *listen.Listener
	metrics  *metrics.Metrics
	recent   *admin.Recent
	handler  *admin.Handler
	proxy    atomic.Pointer[proxy.Proxy]
	serving  atomic.Bool
	reloader atomic.Pointer[reloader]
}

// startAdmin opens the admin listener, and has the proxy that is about to be made tell it
// what happens.
func startAdmin(ctx context.Context, p *plan, wiring *proxy.Config, store *certs.Store, authority *ca.CA, lookup *access.Lookup, log *zap.Logger) (*administration, error) {
	if !p.admin.on {
		return nil, nil //nolint:nilnil // no listener is no failure
	}
	l, err := listenAdmin(ctx, p.admin)
	if err != nil {
		if p.admin.optional {
			log.Warn("no status page, metrics or health", zap.String("reason", err.Error()), zap.String("hint", "name another place with --admin, or off"))
			return nil, nil //nolint:nilnil // the proxy serves without it
		}
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	a := &administration{listener: l, recent: admin.NewRecent(keepRecent)}
	stats := func() proxy.Stats {
		if p := a.proxy.Load(); p != nil {
			return p.Stats()
		}
		return proxy.Stats{}
	}
	a.metrics = metrics.New(metrics.Config{Index: store.Index, Stats: stats, CANotAfter: authority.Certificate().NotAfter, Version: buildVersion()})
	about := admin.Config{
		Version: buildVersion(), Started: time.Now(), Roots: paths(p.roots), CA: authority.Certificate(), Fingerprint: authority.Fingerprint(),
		Index: store.Index, Stats: stats, Metrics: a.metrics, Recent: a.recent, Admit: admission(p.admin.policy, lookup),
		Reloads: func() admin.Reloads {
			if r := a.reloader.Load(); r != nil {
				return r.reloads()
			}
			return admin.Reloads{}
		},
		Ready: func() error {
			if !a.serving.Load() {
				return errors.New("certproxy is starting, or being stopped")
			}
			return nil
		},
	}
	if a.handler, err = admin.New(about); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	told := wiring.Attempted
	wiring.Attempted = func(attempt proxy.Attempt) {
		a.metrics.Attempted(attempt)
		if told != nil {
			told(attempt)
		}
	}
	wiring.RequestEnded = func(e proxy.RequestEnd) { a.metrics.RequestEnded(e); a.recent.RequestEnded(e) }
	wiring.TunnelEnded = func(e proxy.TunnelEnd) { a.metrics.TunnelEnded(e); a.recent.TunnelEnded(e) }
	wiring.HandshakeEnded = a.metrics.HandshakeEnded
	return a, nil
}

// shows sets which proxy it is about. No client of it reaches the admin listener.
func (a *administration) shows(p *proxy.Proxy) {
	if a == nil {
		return
	}
	a.proxy.Store(p)
	p.Refuse(a.listener.Addr())
}

// reloadedBy sets who knows of SIGHUPs.
func (a *administration) reloadedBy(r *reloader) {
	if a != nil {
		a.reloader.Store(r)
	}
}

// run serves until ctx ends.
func (a *administration) run(ctx context.Context, log *zap.Logger, doors []opened) {
	if a == nil {
		return
	}
	listeners := make([]admin.Listener, 0, len(doors))
	for _, d := range doors {
		listeners = append(listeners, admin.Listener{Addr: d.listener.Address(), Forward: d.Forward})
	}
	a.handler.Listening(listeners)
	a.serving.Store(true)
	log.Info("admin listener", zap.String("addr", a.listener.Address()))
	if err := a.handler.Serve(ctx, a.listener); err != nil {
		log.Error("admin listener failed", zap.String("addr", a.listener.Address()), zap.String("reason", err.Error()), zap.String("hint", "restart certproxy"))
	}
}

// close is for a start that failed.
func (a *administration) close() error {
	if a == nil {
		return nil
	}
	return a.listener.Close()
}

// stopping tells that no more is served.
func (a *administration) stopping() {
	if a != nil {
		a.serving.Store(false)
	}
}

// reloaded tells that certs.d or the configuration was read again, or why not.
func (a *administration) reloaded(of metrics.Source, err error) {
	if a != nil {
		a.metrics.Reloaded(of, err)
	}
}

// admission asks who is at the other end of a connection.
func admission(policy access.Policy, lookup *access.Lookup) func(net.Conn) error {
	return func(conn net.Conn) error {
		peer := lookup.Peer(conn)
		if access.Decide(peer, access.Request{Use: access.Identities, Global: policy}) == nil {
			return nil
		}
		who := "'*'"
		if uid, known := peer.UID(); known {
			who = strconv.FormatUint(uint64(uid), 10)
		}
		return fmt.Errorf("%s may not see what certproxy does; add them to admin_users, or start certproxy with --admin-user %s", peer, who)
	}
}

// listenAdmin opens the listener.
func listenAdmin(ctx context.Context, o adminOptions) (*listen.Listener, error) {
	if o.optional && o.spec.Kind == listen.Unix {
		if err := os.MkdirAll(filepath.Dir(o.spec.Addr), 0o755); err != nil {
			return nil, err
		}
	}
	opened, err := listen.Open(ctx, []listen.Spec{o.spec}, listen.Options{})
	if err != nil {
		return nil, err
	}
	return opened[0], nil
}
