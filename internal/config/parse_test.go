package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// with returns the defaults, changed.
func with(change func(*Config)) Config {
	c := Default()
	change(&c)
	return c
}

// equal compares all that two configurations say: no hosts are no hosts, nil or not.
func equal(a, b Config) bool {
	for _, c := range []*Config{&a, &b} {
		if len(c.Hosts) == 0 {
			c.Hosts = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func set(texts ...string) Statuses {
	var s Statuses
	for _, text := range texts {
		var err error
		if s, err = s.with(text); err != nil {
			panic(err)
		}
	}
	return s
}

func TestWhatIsWrittenIsWhatHolds(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       Config
	}{
		{"nothing", "", Default()},
		{"comments alone", "# connect_timeout: 1s\n", Default()},
		{"an empty document", "---\n", Default()},
		{"an empty map", "{}", Default()},
		{"hosts that are all commented out", "hosts:\n  # registry.example:\n", Default()},
		{"every key", "connect_timeout: 3s\nattempt_timeout: 1h30m\nstream_idle_timeout: 10m\nreplay_limit: 512MiB\npair_memory: 5m\nfallback_statuses: [403]\n",
			with(func(c *Config) {
				c.Host = HostSettings{
					ConnectTimeout: 3 * time.Second, AttemptTimeout: 90 * time.Minute, StreamIdleTimeout: 10 * time.Minute,
					ReplayLimit: 512 << 20, PairMemory: 5 * time.Minute, FallbackStatuses: set("403"),
				}
			})},
		{"what 0 turns off", "attempt_timeout: 0\nstream_idle_timeout: 0\nreplay_limit: 0\npair_memory: 0\nfallback_statuses: []\n",
			with(func(c *Config) { c.Host = HostSettings{ConnectTimeout: 10 * time.Second} })},
		{"bytes", "replay_limit: 1048576", with(func(c *Config) { c.Host.ReplayLimit = 1 << 20 })},
		{"the largest size", "replay_limit: 8388607TiB", with(func(c *Config) { c.Host.ReplayLimit = 8388607 << 40 })},
		{"quotes", `"pair_memory": "5m"`, with(func(c *Config) { c.Host.PairMemory = 5 * time.Minute })},
		{"statuses over several lines", "fallback_statuses:\n  - 404\n  - '5xx'\n  - 404\n", with(func(c *Config) { c.Host.FallbackStatuses = set("5xx", "404") })},
		{"the class of a status", "fallback_statuses: [4xx]", with(func(c *Config) { c.Host.FallbackStatuses = set("4xx") })},

		{"a host overrides one field", "pair_memory: 5m\nhosts:\n  registry.example:\n    connect_timeout: 3s\n", with(func(c *Config) {
			c.Host.PairMemory = 5 * time.Minute
			s := c.Host
			s.ConnectTimeout = 3 * time.Second
			c.Hosts = map[string]HostSettings{"registry.example:443": s}
		})},
		{"hosts above what they take over", "hosts: {r.example: {renegotiation: true}}\npair_memory: 5m\n", with(func(c *Config) {
			c.Host.PairMemory = 5 * time.Minute
			s := c.Host
			s.Renegotiation = true
			c.Hosts = map[string]HostSettings{"r.example:443": s}
		})},
		{"a list replaces the list of all hosts", "hosts: {r.example: {fallback_statuses: [429]}}", with(func(c *Config) {
			s := c.Host
			s.FallbackStatuses = set("429")
			c.Hosts = map[string]HostSettings{"r.example:443": s}
		})},
		{"a host without settings", "hosts:\n  r.example:\n", with(func(c *Config) {
			c.Hosts = map[string]HostSettings{"r.example:443": c.Host}
		})},
		{"names of hosts", "hosts: {R.Example.: , 'r.example:5000': , '[2001:DB8::1]:5000': , '[::1]': , '2001:db8::1': , bücher.example: , 192.0.2.1: }", with(func(c *Config) {
			c.Hosts = map[string]HostSettings{
				"r.example:443": c.Host, "r.example:5000": c.Host, "[2001:db8::1]:5000": c.Host, "[::1]:443": c.Host,
				"[2001:db8::1]:443": c.Host, "xn--bcher-kva.example:443": c.Host, "192.0.2.1:443": c.Host,
			}
		})},
		{"an alias", "hosts:\n  a.example: &slow\n    attempt_timeout: 0\n  b.example: *slow\n", with(func(c *Config) {
			s := c.Host
			s.AttemptTimeout = 0
			c.Hosts = map[string]HostSettings{"a.example:443": s, "b.example:443": s}
		})},

		{"a BOM", "\ufeffpair_memory: 5m\n", with(func(c *Config) { c.Host.PairMemory = 5 * time.Minute })},
		{"CRLF", "# a\r\npair_memory: 5m\r\nhosts:\r\n  r.example:\r\n    pair_memory: 0\r\n", with(func(c *Config) {
			c.Host.PairMemory = 5 * time.Minute
			s := c.Host
			s.PairMemory = 0
			c.Hosts = map[string]HostSettings{"r.example:443": s}
		})},
		{"the ends of a document", "---\npair_memory: 5m\n...\n", with(func(c *Config) { c.Host.PairMemory = 5 * time.Minute })},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("config.yaml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if !equal(*c, test.want) {
				t.Errorf("got  %+v\nwant %+v", *c, test.want)
			}
		})
	}
}

func TestAHostWithoutSettingsOfItsOwnHasThoseOfAllHosts(t *testing.T) {
	c, err := Parse("config.yaml", []byte("pair_memory: 5m\nhosts: {r.example: {pair_memory: 1m}}"))
	if err != nil {
		t.Fatal(err)
	}
	for authority, want := range map[string]time.Duration{
		"r.example:443":  time.Minute,
		"r.example:5000": 5 * time.Minute,
		"":               5 * time.Minute,
	} {
		if got := c.For(authority).PairMemory; got != want {
			t.Errorf("pair memory of %q is %v, want %v", authority, got, want)
		}
	}
}

func TestTheDefaultsAreThoseOfTheSpecification(t *testing.T) {
	s := Default().Host
	if s.ConnectTimeout != 10*time.Second || s.AttemptTimeout != 5*time.Minute || s.StreamIdleTimeout != time.Hour || s.ReplayLimit != 1<<30 || s.PairMemory != time.Minute || s.Renegotiation {
		t.Errorf("defaults %+v", s)
	}
	for status, want := range map[int]bool{
		-1: false, 0: false, 200: false, 399: false, 400: false, 401: false, 403: true, 404: true, 405: false, 429: false, 494: false,
		495: true, 496: true, 497: false, 499: false, 500: true, 503: true, 599: true, 600: false, 1 << 40: false,
	} {
		if got := s.FallbackStatuses.Has(status); got != want {
			t.Errorf("status %d moves on to the next pair: %v, want %v", status, got, want)
		}
	}
}

func TestLoadReadsTheFileAndNamesItInItsErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fmt.Sprint(err), path) {
		t.Errorf("no file: error %v, want fs.ErrNotExist and the path", err)
	}
	write("pair_memory: 5m")
	if c, err := Load(path); err != nil || c.Host.PairMemory != 5*time.Minute {
		t.Errorf("Load = %+v, %v", c, err)
	}
	write("pair_memory: 5")
	if _, err := Load(path); err == nil || err.Error() != path+`:1: pair_memory: "5" is no duration; write 5s` {
		t.Errorf("error %v", err)
	}
	write(strings.Repeat("#", maxSize+1))
	if _, err := Load(path); err == nil || err.Error() != path+": larger than 1 MiB: is it certproxy's configuration?" {
		t.Errorf("a large file: error %v", err)
	}
	if _, err := Load(filepath.Dir(path)); err == nil {
		t.Error("a directory was read as a file")
	}
}
