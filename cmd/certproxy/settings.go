package main

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/proxy"
)

// settings are the plan in use. Who asks never waits for a reload, which puts a whole
// new one in place.
type settings struct{ current atomic.Pointer[plan] }

func newSettings(p *plan) *settings {
	s := &settings{}
	s.current.Store(p)
	return s
}

// host returns the settings of a host as the proxy takes them.
func (s *settings) host(authority string) proxy.HostSettings {
	return hostSettings(s.current.Load().For(authority))
}

// refuseUnlisted is whether hosts without a directory are refused.
func (s *settings) refuseUnlisted() bool { return s.current.Load().Unlisted == "refuse" }

func hostSettings(h config.HostSettings) proxy.HostSettings {
	return proxy.HostSettings{
		ConnectTimeout:    h.ConnectTimeout,
		AttemptTimeout:    h.AttemptTimeout,
		StreamIdleTimeout: h.StreamIdleTimeout,
		ReplayLimit:       h.ReplayLimit,
		PairMemory:        h.PairMemory,
		Fallback:          h.FallbackStatuses,
		Renegotiation:     h.Renegotiation,
	}
}

// differences tells two configurations apart, as far as a reload puts them in place: by
// the keys of all hosts, and by single hosts with their keys. A host that only takes over
// what changed for all is not told.
func differences(old, now *config.Config) (all, hosts []string) {
	all = slices.DeleteFunc(config.DifferentTop(old, now), needsRestart)
	named := maps.Clone(old.Hosts)
	if named == nil {
		named = map[string]config.HostSettings{}
	}
	maps.Copy(named, now.Hosts)
	for _, host := range slices.Sorted(maps.Keys(named)) {
		was, is := old.For(host), now.For(host)
		own := append(differentKeys(was, old.Host), differentKeys(is, now.Host)...)
		keys := slices.DeleteFunc(differentKeys(was, is), func(key string) bool { return !slices.Contains(own, key) })
		keys = append(keys, config.DifferentAllow(old.AllowHosts[host], now.AllowHosts[host])...)
		if len(keys) > 0 {
			hosts = append(hosts, host+" ("+strings.Join(keys, ", ")+")")
		}
	}
	return all, hosts
}

// waiting names what differs from the configuration that the process started with and is
// in place only after a restart.
func waiting(started, now *config.Config) []string {
	return slices.DeleteFunc(config.DifferentTop(started, now), func(key string) bool { return !needsRestart(key) })
}

func needsRestart(name string) bool {
	return slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == name && k.Restart })
}

// differentKeys names the keys in which two settings differ.
func differentKeys(a, b config.HostSettings) []string { return config.DifferentSettings(a, b) }
