package config

import (
	"errors"
	"strings"
	"unicode"
)

// Headings of the help.
const (
	forListeners = "Listeners"
	forFiles     = "Certificates"
	forAccess    = "Who may"
	forUpstreams = "Hosts"
	forTimeouts  = "Time limits"
	forLog       = "Log"
)

// A key here is a key of the file, and where in a value it goes. The tables below are
// all there is to a new key, beside its field, its default and its lines in docs/: flags,
// variables, a mistake's nearest key and the tests of docs/ come from them.
type key struct {
	Key
	target
	path bool // a file name: in the configuration file, relative to the directory of that
}

// topKeys stand at the top of the file only.
func topKeys(c *Config) []key {
	return []key{
		{Key: Key{Name: "hosts", Default: "{}"}}, // no target: the hosts take over all else, and are read last

		{Key: Key{Name: "listen", Flag: "listen", Restart: true, List: true, Type: "strings", Default: "[127.0.0.1:3128]", Group: forListeners,
			Help: "HOST:PORT to serve on, unix:PATH, systemd:NAME, or tls: and one of these; repeatable, port 0 picks one"}, target: many(&c.Listen, entry("write HOST:PORT"))},
		{Key: Key{Name: "forward", Flag: "forward", Restart: true, List: true, Type: "strings", Default: "[]", Group: forListeners,
			Help: "ADDR=HOST[:PORT]: serve plain HTTP on ADDR, as that listed host; repeatable"}, target: many(&c.Forward, entry("write ADDR=HOST[:PORT]"))},
		{Key: Key{Name: "listen_cert", Flag: "listen-cert", Restart: true, Type: "string", Default: `""`, Group: forListeners,
			Help: "certificate chain that tls: listeners show, a PEM file"}, target: one(&c.ListenCert, line), path: true},
		{Key: Key{Name: "listen_key", Flag: "listen-key", Restart: true, Type: "string", Default: `""`, Group: forListeners,
			Help: "its key, a PEM file"}, target: one(&c.ListenKey, line), path: true},
		{Key: Key{Name: "listen_client_ca", Flag: "listen-client-ca", Restart: true, Type: "string", Default: `""`, Group: forListeners,
			Help: "CAs of the client certificates that tls: listeners demand, a PEM file"}, target: one(&c.ListenClientCA, line), path: true},
		{Key: Key{Name: "admin", Flag: "admin", Restart: true, Type: "string", Default: `""`, Group: forListeners,
			Help: "status page, metrics and health: unix:PATH, loopback HOST:PORT, or off (default unix:admin.sock in $RUNTIME_DIRECTORY, /run/certproxy for root, or $XDG_RUNTIME_DIR/certproxy)"}, target: one(&c.Admin, line)},
		{Key: Key{Name: "admin_users", Flag: "admin-user", Restart: true, List: true, Type: "strings", Default: "[]", Group: forListeners,
			Help: "user, by name or uid, who may see it besides root and whom certproxy runs as, or * for every local one; repeatable"}, target: many(&c.AdminUsers, entry("name a user"))},

		{Key: Key{Name: "certs", Flag: "certs", Restart: true, List: true, Type: "strings", Default: "[]", Group: forFiles,
			Help: "directory that holds host directories; repeatable, the first with one for a host wins"}, target: many(&c.Certs, entry("name a directory")), path: true},
		{Key: Key{Name: "state", Flag: "state", Restart: true, Type: "string", Default: `""`, Group: forFiles,
			Help: "directory of the local CA (default /var/lib/certproxy, for other users $XDG_STATE_HOME/certproxy)"}, target: one(&c.State, line), path: true},

		{Key: Key{Name: "unlisted", Flag: "unlisted", Type: "string", Default: "tunnel", Group: forUpstreams,
			Help: "what to do with hosts that have no directory: tunnel or refuse"}, target: one(&c.Unlisted, oneOf("tunnel", "refuse"))},
		{Key: Key{Name: "upstream_proxy", Flag: "upstream-proxy", Type: "string", Default: `""`, Group: forUpstreams,
			Help: "URL of the proxy through which hosts are reached, or direct; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY say so"}, target: one(&c.UpstreamProxy, line)},
		{Key: Key{Name: "htpasswd", Flag: "htpasswd", Type: "string", Default: `""`, Group: forAccess,
			Help: "file of htpasswd -B: whoever knows a password in it may, too, unless users or groups are named"}, target: one(&c.Htpasswd, line), path: true},

		{Key: Key{Name: "log_level", Flag: "log-level", Type: "string", Default: "info", Group: forLog,
			Help: "debug, info, warn or error"}, target: one(&c.LogLevel, oneOf("debug", "info", "warn", "error"))},
		{Key: Key{Name: "log_format", Flag: "log-format", Restart: true, Type: "string", Default: "auto", Group: forLog,
			Help: "json, console, or auto: console on a terminal"}, target: one(&c.LogFormat, oneOf("auto", "json", "console"))},

		{Key: Key{Name: "handshake_timeout", Flag: "handshake-timeout", Restart: true, Type: "duration", Default: "10s", Group: forTimeouts,
			Help: "for a TLS handshake, with clients and with hosts"}, target: one(&c.HandshakeTimeout, positiveDuration)},
		{Key: Key{Name: "header_timeout", Flag: "header-timeout", Restart: true, Type: "duration", Default: "10s", Group: forTimeouts,
			Help: "for a client to send the header of a request"}, target: one(&c.HeaderTimeout, positiveDuration)},
		{Key: Key{Name: "idle_timeout", Flag: "idle-timeout", Restart: true, Type: "duration", Default: "2m", Group: forTimeouts,
			Help: "of a kept connection without a request, with clients and with hosts"}, target: one(&c.IdleTimeout, positiveDuration)},
		{Key: Key{Name: "drain_timeout", Flag: "drain-timeout", Restart: true, Type: "duration", Default: "25s", Group: forTimeouts,
			Help: "for what is in flight when certproxy is stopped"}, target: one(&c.DrainTimeout, positiveDuration)},
	}
}

// hostKeys stand at the top, for all hosts, and below a host, for it alone.
func hostKeys(s *HostSettings, a *Allow) []key {
	return []key{
		{Key: Key{Name: "connect_timeout", Flag: "connect-timeout", Scope: Everywhere, Type: "duration", Default: "10s", Group: forTimeouts,
			Help: "to connect to a host, name resolution included"}, target: one(&s.ConnectTimeout, positiveDuration)},
		{Key: Key{Name: "attempt_timeout", Flag: "attempt-timeout", Scope: Everywhere, Type: "duration", Default: "5m", Group: forTimeouts,
			Help: "for a host to answer a request, over all attempts, while no body moves; 0 is no limit"}, target: one(&s.AttemptTimeout, duration)},
		{Key: Key{Name: "stream_idle_timeout", Flag: "stream-idle-timeout", Scope: Everywhere, Type: "duration", Default: "1h", Group: forTimeouts,
			Help: "for a request whose body or answer has begun, while no byte of either moves; 0 is no limit"}, target: one(&s.StreamIdleTimeout, duration)},
		{Key: Key{Name: "replay_limit", Flag: "replay-limit", Scope: Everywhere, Type: "size", Default: "1GiB", Group: forUpstreams,
			Help: "how much of a request's body is kept, so that another pair can be tried"}, target: one(&s.ReplayLimit, size)},
		{Key: Key{Name: "pair_memory", Flag: "pair-memory", Scope: Everywhere, Type: "duration", Default: "60s", Group: forUpstreams,
			Help: "how long a pair that a host refused stands back; 0 turns it off"}, target: one(&s.PairMemory, duration)},
		{Key: Key{Name: "fallback_statuses", Flag: "fallback-status", Scope: Everywhere, List: true, Type: "strings", Default: "[403, 404, 5xx, 495, 496]", Group: forUpstreams,
			Help: "answer after which the next pair is tried: a status, 4xx or 5xx; repeatable"}, target: many(&s.FallbackStatuses, Statuses.with)},
		{Key: Key{Name: "allow_users", Flag: "allow-user", Scope: Everywhere, List: true, Type: "strings", Default: "[]", Group: forAccess,
			Help: "user, by name or uid, who may use the certificates of listed hosts, or * for every local one; repeatable. By default root, and whom certproxy runs as"},
			target: many(&a.Users, entry("write a name or a uid"))},
		{Key: Key{Name: "allow_groups", Flag: "allow-group", Scope: Everywhere, List: true, Type: "strings", Default: "[]", Group: forAccess,
			Help: "group, by name or gid, likewise; repeatable"}, target: many(&a.Groups, entry("write a name or a gid"))},
		{Key: Key{Name: "allow_networks", Flag: "allow-network", Scope: Everywhere, List: true, Type: "strings", Default: "[]", Group: forAccess,
			Help: "address or prefix of other machines that may, such as 10.1.0.0/16; repeatable"}, target: many(&a.Networks, entry("write an address or a prefix"))},
	}
}

// ownKeys stand below a host only.
func ownKeys(s *HostSettings) []key {
	return []key{
		{Key: Key{Name: "renegotiation", Scope: HostOnly, Default: "false"}, target: one(&s.Renegotiation, boolean)},
	}
}

// line reads any text of one line; none at all is as if nothing was said.
func line(text string) (string, error) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", errors.New("has a control character")
	}
	return text, nil
}

// entry reads a text of a list; empty ones come of variables of a shell that are not set.
func entry(write string) func([]string, string) ([]string, error) {
	return func(to []string, text string) ([]string, error) {
		text, err := line(text)
		if err == nil && text == "" {
			err = errors.New("is empty; " + write)
		}
		return append(to, text), err
	}
}
