package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/htpasswd"
	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// A plan is a configuration that all who will use it have looked at. It is not changed
// afterwards.
type plan struct {
	options
	roots     []certs.Root
	state     string // directory of the local CA
	doorways  []doorway
	admin     adminOptions
	policies  policies
	passwords *htpasswd.Store // nil for none
}

// plan reads all sources and checks them, and tells all that is wrong at once: serve
// starts with nothing that `serve --check-config` would not pass. From the plan before,
// or nil, it takes what remembers something.
func (s sources) plan(before *plan, getenv func(string) string) (*plan, error) {
	o, mistakes := s.read()
	p := &plan{options: o}
	for _, look := range []func() config.Mistakes{
		func() (m config.Mistakes) { p.policies, m = parsePolicies(o); return m },
		p.checkListeners,
		p.checkAdmin,
		p.checkPlaces,
		func() config.Mistakes { return p.checkPasswords(before) },
		func() config.Mistakes { return p.checkUpstreamProxy(getenv) },
	} {
		mistakes = append(mistakes, look()...)
	}
	if err := refuse(mistakes); err != nil {
		return nil, err
	}
	return p, nil
}

// check says whether the proxy would start with these sources.
func (s sources) check(w io.Writer, getenv func(string) string) error {
	p, err := s.plan(nil, getenv)
	if err != nil {
		return err
	}
	note := ""
	if !p.found {
		note = " (not there, so all is by default)"
	}
	_, err = fmt.Fprintf(w, "%s: ok%s\n", s.file.path, note)
	return err
}

// checkPlaces finds the roots and the state directory.
func (p *plan) checkPlaces() config.Mistakes {
	var mistakes config.Mistakes
	var err error
	if p.roots, err = roots(p.Certs); err != nil {
		mistakes = append(mistakes, p.origins.Of("", "certs", 0).Mistake(err.Error()))
	}
	for i, root := range p.roots {
		if info, err := os.Stat(root.Path); err == nil && !info.IsDir() {
			origin := p.origins.Of("", "certs", i)
			if origin.Source == config.Flag { // the command line is right, what is there is not
				origin = config.Origin{}
			}
			mistakes = append(mistakes, origin.Mistake(fmt.Sprintf("root %s is a file; name a directory that holds host directories", root.Path)))
		}
	}
	if p.state, err = stateDir(p.State); err != nil {
		mistakes = append(mistakes, config.Origin{Source: config.Flag}.Mistake(err.Error()))
	}
	return mistakes
}

// checkPasswords opens the password file. The one that is open already goes on, with
// what it knows of guessers.
func (p *plan) checkPasswords(before *plan) config.Mistakes {
	if p.Htpasswd == "" {
		return nil
	}
	var err error
	if before != nil && before.Htpasswd == p.Htpasswd {
		p.passwords = before.passwords
		err = p.passwords.Reload()
	} else {
		p.passwords, err = htpasswd.Open(p.Htpasswd)
	}
	if err != nil {
		return config.Mistakes{p.origins.Of("", "htpasswd", 0).Mistake(err.Error())}
	}
	return nil
}

// warnOfPasswords says what should be changed about the password file in use.
func (p *plan) warnOfPasswords(log *zap.Logger) {
	if p.passwords == nil {
		return
	}
	if warning := p.passwords.File().Warning; warning != nil {
		log.Warn("passwords", zap.String("problem", warning.Error()))
	}
}

// checkUpstreamProxy looks at the URL of the site's proxy, or at those of the
// environment. No error of it shows any of a URL.
func (p *plan) checkUpstreamProxy(getenv func(string) string) config.Mistakes {
	_, err := upstreamproxy.New(upstreamproxy.Config{URL: p.UpstreamProxy, Getenv: getenv, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("nothing is dialled to check a setting")
	}})
	var wrong *upstreamproxy.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Setting == upstreamproxy.Setting:
		return config.Mistakes{p.origins.Of("", "upstream_proxy", 0).Mistake(strings.TrimPrefix(err.Error(), upstreamproxy.Setting+" "))}
	}
	return config.Mistakes{config.Origin{}.Mistake(err.Error())}
}
