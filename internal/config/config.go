// Package config reads certproxy's configuration, from its file, from CERTPROXY_*
// variables and from flags, and answers one question: which settings hold?
//
// It turns bytes and words into a value, and remembers where each came from. It opens
// nothing but the file, logs nothing, and asks the machine nothing: whether an address
// can be listened on or a user exists is for those to say who will use it.
//
// A source with a mistake is refused as a whole, and every mistake is named with its
// line, its variable or its flag: a setting that was misspelt, and so had no effect, is
// found by nobody. What stands behind a key that is not known is never shown, for it
// may be a secret.
package config

import "time"

// A Config is what the configuration says. It comes from [Default], [Read], [Load] or
// [Parse] and is not changed afterwards, so it may be shared.
type Config struct {
	Listen         []string // addresses to serve the proxy on
	ListenCert     string   // file of the certificate that tls: listeners show; empty for none
	ListenKey      string   // file of its key
	ListenClientCA string   // file of the CAs whose client certificates tls: listeners take; empty asks for none
	Forward        []string // ADDR=HOST[:PORT]
	Admin          string   // address of the admin listener, off, or empty for the usual place
	AdminUsers     []string // who may see it besides root and our own user

	Certs []string // roots; none are the default ones
	State string   // directory of the local CA; empty is the default one

	Unlisted      string // tunnel or refuse
	UpstreamProxy string // URL, with credentials: never to be shown; direct; or empty for what the environment says

	Allow      Allow            // for all hosts
	AllowHosts map[string]Allow // for single ones besides, by canonical name:port: the stricter wins
	Htpasswd   string           // file of passwords; empty for none

	LogLevel  string // debug, info, warn or error
	LogFormat string // auto, json or console

	HandshakeTimeout time.Duration // of TLS, with clients and with hosts; more than 0, as the ones below
	HeaderTimeout    time.Duration // for a client to send the header of a request
	IdleTimeout      time.Duration // of a kept connection without a request
	DrainTimeout     time.Duration // for what is in flight at the end

	Host  HostSettings            // of every host that Hosts does not name
	Hosts map[string]HostSettings // by canonical name:port; each one is whole, with what it takes over from Host
}

// Allow says who may, as it was written. Whether such users and networks exist is for
// others to say.
type Allow struct{ Users, Groups, Networks []string }

// HostSettings is how requests to one host are treated.
type HostSettings struct {
	ConnectTimeout    time.Duration // to connect to the host, name resolution included; more than 0
	AttemptTimeout    time.Duration // how long the host may keep a request waiting for its answer, over all attempts, while no body moves; 0 is no limit
	StreamIdleTimeout time.Duration // how long no byte of a body may move in either direction, once one has begun; 0 is no limit
	ReplayLimit       int64         // bytes of a request's body that are kept, so that another pair can be tried
	PairMemory        time.Duration // how long a pair that was refused stands back; 0 turns it off
	FallbackStatuses  Statuses      // the answers after which the next pair is tried
	Renegotiation     bool          // speak TLS 1.2 and answer one renegotiation
}

// Default returns what holds where nothing is said.
func Default() Config {
	return Config{
		Listen: []string{"127.0.0.1:3128"}, Unlisted: "tunnel", LogLevel: "info", LogFormat: "auto",
		HandshakeTimeout: 10 * time.Second, HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, DrainTimeout: 25 * time.Second,
		Host: HostSettings{
			ConnectTimeout:    10 * time.Second,
			AttemptTimeout:    5 * time.Minute,
			StreamIdleTimeout: time.Hour,
			ReplayLimit:       1 << 30,
			PairMemory:        time.Minute,
			FallbackStatuses:  Statuses{}.add(403, 404).add(500, 599).add(495, 496),
		},
	}
}

// For returns the settings of a host, given as canonical name:port.
func (c *Config) For(authority string) HostSettings {
	if s, ok := c.Hosts[authority]; ok {
		return s
	}
	return c.Host
}
