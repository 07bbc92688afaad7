package config

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever bytes the file holds, reading it does not panic, and what it means can
// be written down and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"",
		"# nothing\n",
		"connect_timeout: 3s\nattempt_timeout: 1h30m\nreplay_limit: 512MiB\npair_memory: 0\nfallback_statuses: [403, 5xx]\n",
		"hosts:\n  registry.example: {renegotiation: true}\n  '[::1]:5000': {fallback_statuses: []}\n",
		"hosts:\n  a.example: &a\n    replay_limit: 1\n  b.example: *a\n  <<: *a\n",
		"hosts: &h {r.example: *h}\n",
		"\ufeff---\r\npair_memory: 1µs\r\n...\r\n",
		"replay_limits: !!str 5\n? [a]\n: *b\n--- |\n\tx\n",
		"fallback_statuses:\n  - '404' # comment\n  - &x 0x193\n  - *x\n",
		"listen: ['127.0.0.1:0', unix:/run/p]\nforward: [a=b]\ncerts: [x, ../y, /z]\nstate: s\nadmin: off\nupstream_proxy: http://u:p@h\nallow_users: ['*', 0]\nhtpasswd: \"\\u00e9\"\n",
		"unlisted: refuse\nlog_level: debug\nlog_format: json\ndrain_timeout: 1s\nhosts: {r.example: {allow_groups: [g], allow_networks: [10.0.0.0/8]}}\n",
		"%YAML 1.1\n---\n\"pair_memory\": >-\n  5m\n\n# foot\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("config.yaml", data)
		if err != nil {
			if c != nil || !strings.HasPrefix(err.Error(), "config.yaml:") {
				t.Errorf("Parse = %+v, %v", c, err)
			}
			return
		}
		again, err := Parse("config.yaml", render(c))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v\n%s", err, render(c))
		}
		if !equal(*c, *again) {
			t.Errorf("first\n%s\nthen\n%s", render(c), render(again))
		}
	})
}

// render writes a configuration down so that Parse reads it back.
func render(c *Config) []byte {
	var b strings.Builder
	settings := func(indent string, s HostSettings) {
		var listed []string
		for status := range 1000 {
			if s.FallbackStatuses.Has(status) {
				listed = append(listed, fmt.Sprint(status))
			}
		}
		fmt.Fprintf(&b, "%sconnect_timeout: %v\n", indent, s.ConnectTimeout)
		fmt.Fprintf(&b, "%sattempt_timeout: %v\n", indent, s.AttemptTimeout)
		fmt.Fprintf(&b, "%sstream_idle_timeout: %v\n", indent, s.StreamIdleTimeout)
		fmt.Fprintf(&b, "%sreplay_limit: %d\n", indent, s.ReplayLimit)
		fmt.Fprintf(&b, "%spair_memory: %v\n", indent, s.PairMemory)
		fmt.Fprintf(&b, "%sfallback_statuses: [%s]\n", indent, strings.Join(listed, ", "))
	}
	list := func(key string, entries []string) string {
		quoted := make([]string, len(entries))
		for i, entry := range entries {
			quoted[i] = fmt.Sprintf("%q", entry)
		}
		return fmt.Sprintf("%s: [%s]\n", key, strings.Join(quoted, ", "))
	}
	allow := func(indent string, a Allow) {
		b.WriteString(indent + list("allow_users", a.Users) + indent + list("allow_groups", a.Groups) + indent + list("allow_networks", a.Networks))
	}
	b.WriteString(list("listen", c.Listen) + list("forward", c.Forward) + list("certs", c.Certs))
	fmt.Fprintf(&b, "listen_cert: %q\nlisten_key: %q\nlisten_client_ca: %q\nadmin: %q\nstate: %q\nunlisted: %s\nupstream_proxy: %q\nhtpasswd: %q\n",
		c.ListenCert, c.ListenKey, c.ListenClientCA, c.Admin, c.State, c.Unlisted, c.UpstreamProxy, c.Htpasswd)
	fmt.Fprintf(&b, "log_level: %s\nlog_format: %s\nhandshake_timeout: %v\nheader_timeout: %v\nidle_timeout: %v\ndrain_timeout: %v\n",
		c.LogLevel, c.LogFormat, c.HandshakeTimeout, c.HeaderTimeout, c.IdleTimeout, c.DrainTimeout)
	allow("", c.Allow)
	settings("", c.Host)
	b.WriteString("hosts:\n")
	for host, s := range c.Hosts {
		fmt.Fprintf(&b, "  %q:\n", host)
		settings("    ", s)
		fmt.Fprintf(&b, "    renegotiation: %v\n", s.Renegotiation)
		allow("    ", c.AllowHosts[host])
	}
	return []byte(b.String())
}
