package main

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// What runs beside the command ends with it, whether or not a client is still connected.
func TestThePrivateProxyEndsWithAllItStarted(t *testing.T) {
	// Of the runtime and of other tests; what the proxy starts comes after.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	root := t.TempDir()
	throwaway.SelfSigned(throwaway.Options{Name: "client"}).WritePair(root+"/registry.example:5000", "client")
	began := time.Now()
	p, err := startPrivateProxy(t.Context(), privateOptions{options: proxied(""), roots: []certs.Root{certs.Dir(root)}, log: zap.NewNop(), refusals: &refusals{}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.hosts) != 1 || p.hosts[0] != "registry.example:5000" {
		t.Errorf("listed: %v", p.hosts)
	}
	idle, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*drainPrivate {
		t.Errorf("it took %v to start and end", took)
	}
	if _, err := net.Dial("tcp", p.addr); err == nil {
		t.Error("it still listens")
	}
}

// proxied is a configuration with a proxy of the site.
func proxied(url string) options {
	c := config.Default()
	c.UpstreamProxy = url
	return options{Config: &c}
}

func TestAPrivateProxyThatCannotStartLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for name, o := range map[string]privateOptions{
		"a root that is a file": {options: proxied(""), roots: []certs.Root{certs.Dir("/dev/null")}},
		"a bad upstream proxy":  {roots: []certs.Root{certs.Dir(t.TempDir())}, options: proxied("ftp://proxy.example")},
	} {
		o.log, o.refusals = zap.NewNop(), &refusals{}
		if _, err := startPrivateProxy(t.Context(), o); err == nil {
			t.Errorf("%s: it started", name)
		}
	}
}
