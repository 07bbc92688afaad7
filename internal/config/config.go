// Package config reads certproxy's configuration file and answers one question:
// which settings hold for a host?
//
// It turns the file's bytes into a value. It opens nothing but the file, logs
// nothing, and knows no flags and no variables: whoever calls it lays those over
// the value.
//
// A file with a mistake is refused as a whole, and every mistake is named with its
// line: a setting that was misspelt, and so had no effect, is found by nobody. What
// stands behind a key that is not known is never shown, for it may be a secret.
package config

import "time"

// A Config is what a configuration file says. It comes from [Default], [Load] or
// [Parse] and is not changed afterwards, so it may be shared.
type Config struct {
	Host  HostSettings            // of every host that Hosts does not name
	Hosts map[string]HostSettings // by canonical name:port; each one is whole, with what it takes over from Host
}

// HostSettings is how requests to one host are treated.
type HostSettings struct {
	ConnectTimeout   time.Duration // to connect to the host, name resolution included; more than 0
	AttemptTimeout   time.Duration // how long the host may keep a request waiting for its answer, over all attempts, while no body moves; 0 is no limit
	ReplayLimit      int64         // bytes of a request's body that are kept, so that another pair can be tried
	PairMemory       time.Duration // how long a pair that was refused stands back; 0 turns it off
	FallbackStatuses Statuses      // the answers after which the next pair is tried
	Renegotiation    bool          // speak TLS 1.2 and answer one renegotiation
}

// Default returns what an empty file says.
func Default() Config {
	return Config{Host: HostSettings{
		ConnectTimeout:   10 * time.Second,
		AttemptTimeout:   5 * time.Minute,
		ReplayLimit:      1 << 30,
		PairMemory:       time.Minute,
		FallbackStatuses: Statuses{}.add(403, 404).add(500, 599).add(495, 496),
	}}
}

// For returns the settings of a host, given as canonical name:port.
func (c *Config) For(authority string) HostSettings {
	if s, ok := c.Hosts[authority]; ok {
		return s
	}
	return c.Host
}
