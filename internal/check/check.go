// Package check answers one question: why does it not work, and what would make it
// work?
//
// It looks at this machine and, where one is named, at a host, and returns a [Report]:
// what it saw, and findings with the most likely cause first. Hosts are asked by the
// code that the proxy asks them with ([proxy.Probe]), so that what it sees is what the
// proxy would. It changes nothing, and writes nothing anywhere.
package check

import (
	"context"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/proxy"
)

// Options are what to look at.
type Options struct {
	Target *Target      // nil looks at this machine alone
	Roots  []certs.Root // most important first
	State  string       // directory of the local CA
	Proxy  proxy.Config // how the proxy would reach hosts: Host, UpstreamProxy, Getenv, SystemRoots, DialContext

	Listeners  []string      // where the proxy is expected: HOST:PORT or unix:PATH, either after tls:
	ConfigFile string        // named where a setting would help
	Timeout    time.Duration // of each step; zero means 10 s
	Again      string        // the command that looks again at the same; empty means certproxy check

	// Machine is the root directory under which the settings of daemons are looked
	// for; empty means /.
	Machine string
}

// A run is one look.
type run struct {
	Options
	now       time.Time
	report    *Report
	index     *certs.Index
	authority *ca.CA // nil where there is none that can be read
	noCA      bool   // there is none at all
	proxies   []string
}

// Run looks, and returns what it found. It ends with ctx, and no single step takes
// longer than the timeout. The error is one of the options, such as an upstream proxy
// whose URL cannot be read.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Proxy.Getenv == nil {
		o.Proxy.Getenv = func(string) string { return "" }
	}
	if o.Again == "" {
		o.Again = "certproxy check"
	}
	if o.Machine == "" {
		o.Machine = "/"
	}
	r := &run{Options: o, now: time.Now(), report: &Report{Target: o.Target, Findings: []Finding{}}}
	r.lookAtCA()
	r.lookAtState()
	r.index = certs.NewStore(o.Roots, r.owns()).Index()
	r.lookForProxy(ctx)
	if o.Target != nil {
		if err := r.lookAtHost(ctx); err != nil {
			return nil, err
		}
	} else {
		r.lookAtAllHosts()
		r.lookAtPermissions(r.index.Hosts()...)
		r.lookAtLimits()
		r.lookAtDaemons()
	}
	r.lookAtTrust()
	r.lookAtEnvironment()
	r.report.finish()
	return r.report, nil
}
