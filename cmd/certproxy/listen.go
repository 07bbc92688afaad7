package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/proxy"
	"github.com/certproxy/certproxy/systemd"
)

// A doorway is a listener that the configuration names, and what is behind it.
type doorway struct {
	spec    listen.Spec
	forward string // canonical name:port; empty is the proxy
}

// checkListeners reads what is said about listeners. Who may is known by then.
func (p *plan) checkListeners() config.Mistakes {
	var mistakes config.Mistakes
	note := func(key string, i int, text string) {
		mistakes = append(mistakes, p.origins.Of("", key, i).Mistake(text))
	}
	if len(p.Listen)+len(p.Forward) == 0 {
		note("listen", 0, "is empty, and so is forward: there would be nothing to serve; name an address")
	}
	add := func(key string, i int, spec listen.Spec, host string, err error) {
		if err == nil && spec.Beyond() {
			err = p.admits(spec.String(), spec.TLS)
		}
		if err != nil {
			note(key, i, err.Error())
			return
		}
		p.doorways = append(p.doorways, doorway{spec, host})
	}
	for i, text := range p.Listen {
		spec, err := listen.Parse(text)
		add("listen", i, spec, "", err)
	}
	for i, text := range p.Forward {
		spec, host, err := listen.ParseForward(text)
		add("forward", i, spec, host, err)
	}
	files := []struct{ key, path string }{{"listen_cert", p.ListenCert}, {"listen_key", p.ListenKey}, {"listen_client_ca", p.ListenClientCA}}
	if slices.ContainsFunc(p.doorways, func(d doorway) bool { return d.spec.TLS }) {
		switch {
		case p.ListenCert == "":
			note("listen_cert", 0, "is not set, and tls: listeners show a certificate; name a PEM file")
		case p.ListenKey == "":
			note("listen_key", 0, "is not set, and tls: listeners need the key of "+p.ListenCert+"; name a PEM file")
		default:
			if err := p.certificates(nil).Check(time.Now()); err != nil {
				note("listen_cert", 0, err.Error())
			}
		}
		return mistakes
	}
	for _, file := range files {
		if file.path != "" && len(mistakes) == 0 {
			note(file.key, 0, "is for listeners with tls:, and there is none; write listen: [\"tls:HOST:PORT\"], or leave it out")
		}
	}
	return mistakes
}

// admits returns nil if somebody on another machine can show who they are to a
// listener there. A listener that can be reached from the network, and where nobody can, is a
// mistake: it either serves nobody, or was meant to serve all.
func (p *plan) admits(address string, withTLS bool) error {
	switch {
	case p.Htpasswd != "", withTLS && p.ListenClientCA != "", p.policies.global.AllowsNetworks():
		return nil
	}
	for _, policy := range p.policies.hosts {
		if policy.AllowsNetworks() {
			return nil
		}
	}
	const how = "set htpasswd, or allow_networks, or listen_client_ca for a listener with tls:; or listen on 127.0.0.1"
	return fmt.Errorf("%s is not a loopback address, so it can be reached from other machines, and nothing says who may use it; %s", address, how)
}

// certificates are those of the listeners with tls:.
func (p *plan) certificates(log *zap.Logger) listen.Certificates {
	c := listen.Certificates{Cert: p.ListenCert, Key: p.ListenKey, ClientCA: p.ListenClientCA}
	if log != nil {
		c.Warn = func(err error) {
			log.Error("listener's certificate not reloaded", zap.String("reason", err.Error()), zap.String("hint", "the one in use stays until the files are corrected"))
		}
		c.Reloaded = func() { log.Info("listener's certificate reloaded", zap.String("cert", p.ListenCert)) }
	}
	return c
}

// openDoors opens all listeners, or none.
func openDoors(ctx context.Context, p *plan, passed []systemd.Socket, log *zap.Logger) ([]opened, error) {
	given := make([]listen.Passed, len(passed))
	for i, s := range passed {
		given[i] = listen.Passed{Name: s.Name, Listener: s.Listener}
	}
	doorways := p.doorways
	if p.origins.Of("", "listen", 0).Source == config.ByDefault {
		doorways = passedByDefault(doorways, given)
	}
	specs := make([]listen.Spec, len(doorways))
	for i, d := range doorways {
		specs[i] = d.spec
	}
	listeners, err := listen.Open(ctx, specs, listen.Options{Passed: given, Certificates: p.certificates(log)})
	if err != nil {
		return nil, err
	}
	var out []opened
	for _, l := range listeners {
		if l.Beyond() {
			if err := p.admits(l.Address(), l.Spec().TLS); err != nil { // what systemd passed is known only now
				return nil, errors.Join(err, closeAll(listeners))
			}
		}
		out = append(out, opened{Door: proxy.Door{Listener: l, Forward: doorways[l.Index()].forward, TLS: l.Spec().TLS}, listener: l})
	}
	if unused := listen.Unused(given, specs); len(unused) > 0 {
		log.Warn("sockets of systemd that no listener takes", zap.Strings("names", unused),
			zap.String("hint", "what connects to them waits for ever: add systemd:"+unused[0]+" to listen, or take them out of the socket unit"))
	}
	return out, nil
}

// An opened is a door with its listener.
type opened struct {
	proxy.Door
	listener *listen.Listener
}

// passedByDefault puts the sockets that systemd passed in place of the default listener:
// whoever enables a socket unit means it to be served.
func passedByDefault(doorways []doorway, passed []listen.Passed) []doorway {
	var specs []listen.Spec
	for _, d := range doorways {
		specs = append(specs, d.spec)
	}
	var out []doorway
	for _, name := range listen.Unused(passed, specs) {
		if spec, err := listen.Parse("systemd:" + name); err == nil {
			out = append(out, doorway{spec: spec})
		}
	}
	if len(out) == 0 {
		return doorways
	}
	for _, d := range doorways {
		if d.forward != "" {
			out = append(out, d)
		}
	}
	return out
}

func closeAll(listeners []*listen.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// beyond are the doors that other machines can reach.
func beyond(doors []opened) []opened {
	return slices.DeleteFunc(slices.Clone(doors), func(d opened) bool { return !d.listener.Beyond() })
}

// stillAdmits checks a plan against the listeners that run: it may not take away what
// lets other machines in while there is one that they can reach.
func (p *plan) stillAdmits(running []opened) error {
	var errs []string
	for _, d := range beyond(running) {
		if err := p.admits(d.listener.Address(), d.listener.Spec().TLS); err != nil {
			errs = append(errs, err.Error())
		}
	}
	if len(errs) > 0 {
		return errors.New(strings.Join(errs, "\n"))
	}
	return nil
}
