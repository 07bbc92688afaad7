package config

import "go.yaml.in/yaml/v4"

// A key is a word of the file, and where what stands behind it goes. The tables
// below are all there is to a new key, beside its field, its default and its lines
// in docs/: a mistake's nearest key and the tests of docs/ come from them.
type key struct {
	name string
	read func(r *reader, name string, value *yaml.Node)
}

// topKeys stand at the top of the file only.
func topKeys(*Config) []key {
	return []key{
		// The hosts take over what stands at the top, above or below them: they are read last.
		{"hosts", func(r *reader, _ string, value *yaml.Node) { r.hosts = value }},
	}
}

// hostKeys stand at the top, for all hosts, and below a host, for it alone.
func hostKeys(s *HostSettings) []key {
	return []key{
		{"connect_timeout", one(&s.ConnectTimeout, positiveDuration)},
		{"attempt_timeout", one(&s.AttemptTimeout, duration)},
		{"replay_limit", one(&s.ReplayLimit, size)},
		{"pair_memory", one(&s.PairMemory, duration)},
		{"fallback_statuses", many(&s.FallbackStatuses, Statuses.with)},
	}
}

// ownKeys stand below a host only.
func ownKeys(s *HostSettings) []key {
	return []key{
		{"renegotiation", one(&s.Renegotiation, boolean)},
	}
}

// one reads a key that has one value.
func one[T any](to *T, parse func(text string) (T, error)) func(*reader, string, *yaml.Node) {
	return func(r *reader, name string, value *yaml.Node) {
		text, line, ok := r.text(name, value)
		if !ok {
			return
		}
		v, err := parse(text)
		if err != nil {
			r.fail(line, "%s: %v", name, err)
			return
		}
		*to = v
	}
}

// many reads a key that has a list. The list replaces what was there before.
func many[T any](to *T, add func(to T, text string) (T, error)) func(*reader, string, *yaml.Node) {
	return func(r *reader, name string, value *yaml.Node) {
		var all T
		for _, item := range r.items(name, value) {
			text, line, ok := r.text(name, item)
			if !ok {
				continue
			}
			v, err := add(all, text)
			if err != nil {
				r.fail(line, "%s: %v", name, err)
				continue
			}
			all = v
		}
		*to = all
	}
}
