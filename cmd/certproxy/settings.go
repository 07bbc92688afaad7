package main

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/proxy"
)

// settings are the configuration in use. Who asks never waits for a reload, which
// puts a whole new one in place.
type settings struct{ current atomic.Pointer[config.Config] }

func newSettings(c *config.Config) *settings {
	s := &settings{}
	s.current.Store(c)
	return s
}

// host returns the settings of a host as the proxy takes them.
func (s *settings) host(authority string) proxy.HostSettings {
	return hostSettings(s.current.Load().For(authority))
}

func hostSettings(h config.HostSettings) proxy.HostSettings {
	return proxy.HostSettings{
		ConnectTimeout: h.ConnectTimeout,
		AttemptTimeout: h.AttemptTimeout,
		ReplayLimit:    h.ReplayLimit,
		PairMemory:     h.PairMemory,
		Fallback:       h.FallbackStatuses,
		Renegotiation:  h.Renegotiation,
	}
}

// differences tells two configurations apart: by the keys of all hosts, and by single
// hosts with their keys. A host that only takes over what changed for all is not told.
func differences(old, now *config.Config) (all, hosts []string) {
	all = differentKeys(old.Host, now.Host)
	named := maps.Clone(old.Hosts)
	if named == nil {
		named = map[string]config.HostSettings{}
	}
	maps.Copy(named, now.Hosts)
	for _, host := range slices.Sorted(maps.Keys(named)) {
		was, is := old.For(host), now.For(host)
		own := append(differentKeys(was, old.Host), differentKeys(is, now.Host)...)
		keys := slices.DeleteFunc(differentKeys(was, is), func(key string) bool { return !slices.Contains(own, key) })
		if len(keys) > 0 {
			hosts = append(hosts, host+" ("+strings.Join(keys, ", ")+")")
		}
	}
	return all, hosts
}

// differentKeys names the keys in which two settings differ.
func differentKeys(a, b config.HostSettings) []string {
	var keys []string
	for _, key := range []struct {
		name  string
		equal bool
	}{
		{"connect_timeout", a.ConnectTimeout == b.ConnectTimeout},
		{"attempt_timeout", a.AttemptTimeout == b.AttemptTimeout},
		{"replay_limit", a.ReplayLimit == b.ReplayLimit},
		{"pair_memory", a.PairMemory == b.PairMemory},
		{"fallback_statuses", a.FallbackStatuses == b.FallbackStatuses},
		{"renegotiation", a.Renegotiation == b.Renegotiation},
	} {
		if !key.equal {
			keys = append(keys, key.name)
		}
	}
	return keys
}
