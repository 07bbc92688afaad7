package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A faultField is a certproxy with two healthy hosts that have a directory, a healthy
// one without, and one that has what faults there are. Its vigil looks at the first three.
type faultField struct {
	proxy  *rig.Certproxy
	faulty *rig.Faulty
	vigil  *rig.Vigil
}

const faultyName = "faulty.example.test"

// newFaultField starts all of it, with this configuration; "" is what the faulty host
// needs so that nobody waits long for it.
func newFaultField(t *testing.T, config string, under ...string) *faultField {
	t.Helper()
	healthy := []*rig.Honest{rig.ServeHonest(t, "one.example.test"), rig.ServeHonest(t, "two.example.test")}
	tunnelled := rig.ServeHonest(t, "tunnelled.example.test")
	f := &faultField{faulty: rig.ServeFaulty(t, faultyName)}
	certs := rig.Dir(t)
	for _, h := range append(healthy, f.faulty.Honest) {
		h.HostDir(certs, h.Host(), h.Good)
	}
	if config == "" {
		config = "hosts: {\"" + f.faulty.Host() + "\": {attempt_timeout: 700ms}}\nhandshake_timeout: 2s\nheader_timeout: 1s\nidle_timeout: 2s\n"
	}
	level := "info"
	if strings.Contains(config, "log_level") {
		level = "config"
	}
	f.proxy = rig.Serve(t, rig.Options{Certs: certs, Config: config, Under: under, Level: level,
		Names: []string{"one.example.test", "two.example.test", "tunnelled.example.test", faultyName}})
	f.vigil = rig.Keep(t, f.proxy, tunnelled, healthy...)
	return f
}

// pairOptions are those of a pair with this name.
func pairOptions(name string) throwaway.Options {
	return throwaway.Options{Name: name, NotAfter: time.Now().Add(90 * 24 * time.Hour)}
}
