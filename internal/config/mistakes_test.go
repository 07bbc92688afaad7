package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAMistakeIsNamedWithItsLineAndWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string // after "config.yaml:"
	}{
		// Keys.
		{"a misspelt key", "\nreplay_limits: 1GiB\n", []string{`2: unknown key "replay_limits"; did you mean replay_limit?`}},
		{"a misspelt key below a host", "hosts:\n  r.example:\n    renegotiate: true\n", []string{`3: unknown key "renegotiate"; did you mean renegotiation?`}},
		{"another spelling", "replay-limit: 0\nreplayLimit: 0\nHOSTS: {}\n", []string{
			`1: unknown key "replay-limit"; did you mean replay_limit?`,
			`2: unknown key "replayLimit"; did you mean replay_limit?`,
			`3: unknown key "HOSTS"; did you mean hosts?`,
		}},
		{"two letters the other way round", "hsots:\n", []string{`1: unknown key "hsots"; did you mean hosts?`}},
		{"two wrong letters", "hoztz:\n", []string{`1: unknown key "hoztz"; did you mean hosts?`}},
		{"an unknown key", "colour: red\n", []string{`1: unknown key "colour"; known here are hosts, listen, forward, listen_cert, listen_key, listen_client_ca, admin, admin_users, certs, state, unlisted, upstream_proxy, htpasswd, log_level, log_format, handshake_timeout, header_timeout, idle_timeout, drain_timeout, connect_timeout, attempt_timeout, stream_idle_timeout, replay_limit, pair_memory, fallback_statuses, allow_users, allow_groups, allow_networks`}},
		{"a key of hosts at the top", "renegotiation: true\n", []string{`1: renegotiation is set for one host at a time; move it below that host, in hosts`}},
		{"a key of the top below a host", "hosts:\n  r.example:\n    hosts: {}\n", []string{`3: hosts is set for all hosts at once; move it to the top level of the file`}},
		{"a key set twice", "pair_memory: 1s\n\npair_memory: x\n", []string{`3: pair_memory is already set on line 1; remove one of the two`}},
		{"a key set twice below a host", "hosts:\n  r.example:\n    pair_memory: 1s\n    pair_memory: 2s\n", []string{`4: pair_memory is already set on line 3; remove one of the two`}},
		{"a list as a key", "? [a]\n: b\n", []string{`1: a key: a list where one value is expected`}},
		{"nothing as a key", "~: b\n", []string{`1: a key: nothing where one value is expected`}},
		{"a merge", "hosts:\n  a.example: &a\n    pair_memory: 0\n  b.example:\n    <<: *a\n", []string{`5: unknown key "<<"; YAML's merge is not read, only whole values can be shared by an alias`}},

		// Durations.
		{"words", "attempt_timeout: 5 minutes\n", []string{`1: attempt_timeout: "5 minutes" is no duration; write 5m`}},
		{"other words", "attempt_timeout: abc\n", []string{`1: attempt_timeout: "abc" is no duration; write a number with its unit, such as 300ms, 10s, 5m or 1h`}},
		{"a duration below 0", "attempt_timeout: -5m\n", []string{`1: attempt_timeout: "-5m" is less than nothing; write a duration such as 10s`}},
		{"no time to connect", "connect_timeout: 0s\n", []string{`1: connect_timeout: 0 leaves no time at all; write a duration such as 10s`}},
		{"no value", "connect_timeout:\n", []string{`1: connect_timeout: nothing where one value is expected`}},
		{"an empty value", "connect_timeout: ''\n", []string{`1: connect_timeout: "" is no duration; write a number with its unit, such as 300ms, 10s, 5m or 1h`}},
		{"a list", "connect_timeout: [1s]\n", []string{`1: connect_timeout: a list where one value is expected`}},
		{"a map", "connect_timeout:\n  a: 1s\n", []string{`2: connect_timeout: keys with values where one value is expected`}},

		// Sizes.
		{"a decimal unit", "replay_limit: 1GB\n", []string{`1: replay_limit: "1GB" is no size; write 1GiB`}},
		{"a size below 0", "replay_limit: -1\n", []string{`1: replay_limit: "-1" is less than nothing; write a size such as 512MiB`}},
		{"a size beyond all", "replay_limit: 8388608TiB\n", []string{`1: replay_limit: "8388608TiB" is more than can be counted`}},
		{"more bytes than all", "replay_limit: 9223372036854775808\n", []string{`1: replay_limit: "9223372036854775808" is more than can be counted`}},
		{"half a size", "replay_limit: 1.5GiB\n", []string{`1: replay_limit: "1.5GiB" is no size; write a whole number of bytes, or of KiB, MiB, GiB or TiB, such as 512MiB`}},

		// Statuses.
		{"a single status", "fallback_statuses: 403\n", []string{`1: fallback_statuses: one value where a list is expected; write it in brackets, [] for an empty one`}},
		{"no list", "fallback_statuses:\n", []string{`1: fallback_statuses: nothing where a list is expected; write it in brackets, [] for an empty one`}},
		{"a list in a list", "fallback_statuses: [[403]]\n", []string{`1: fallback_statuses: a list where one value is expected`}},
		{"statuses that are none", "fallback_statuses:\n  - 200\n  - 3xx\n  - 0403\n  - 600\n  - 404\n  - abc\n", []string{
			`2: fallback_statuses: "200" is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx`,
			`3: fallback_statuses: "3xx" is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx`,
			`4: fallback_statuses: "0403" is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx`,
			`5: fallback_statuses: "600" is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx`,
			`7: fallback_statuses: "abc" is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx`,
		}},

		{"neither true nor false", "hosts: {r.example: {renegotiation: yes}}\n", []string{`1: renegotiation: "yes" is neither true nor false`}},

		// Hosts.
		{"one host twice", "hosts:\n  registry.example:\n    pair_memory: 0\n  Registry.Example.:443:\n    pair_memory: 0\n", []string{
			`4: hosts: "Registry.Example.:443" is the same host as line 2, registry.example:443; put its settings together`,
		}},
		{"the form of a directory", "hosts: {registry.example_5000_: {}}\n", []string{`1: hosts: a name that ends in _ is no host; write name:port`}},
		{"a wildcard", "hosts:\n  '*.example': {}\n", []string{`2: hosts: authority "*.example:443": '*' is not allowed in a host name`}},
		{"a URL", "hosts:\n  https://r.example/: {}\n", []string{`2: hosts: authority "https://r.example/": '/' is not allowed; use host:port`}},
		{"a bad port", "hosts: {'r.example:x': {}}\n", []string{`1: hosts: authority "r.example:x": port "x" is not a number from 1 to 65535`}},
		{"a list of hosts", "hosts:\n  - r.example\n", []string{`2: hosts: a list where keys with values are expected; write key: value`}},
		{"a host with one value", "hosts:\n  r.example: 5m\n", []string{`2: r.example:443: one value where keys with values are expected; write key: value`}},

		// Files.
		{"a list as the file", "- a\n", []string{`1: the file: a list where keys with values are expected; write key: value`}},
		{"a word as the file", "abc\n", []string{`1: the file: one value where keys with values are expected; write key: value`}},
		{"two documents", "pair_memory: 0\n---\npair_memory: 0\n", []string{`2: a second document starts here (---); put all settings into one`}},
		{"a tab", "hosts:\n\tr.example:\n", []string{`2: indented by a tab; use spaces`}},
		{"a tab behind spaces", "hosts:\n  r.example:\n  \tpair_memory: 0\n", []string{`3: indented by a tab; use spaces`}},
		{"a tab after CRLF", "hosts:\r\n\tr.example:\r\n", []string{`2: indented by a tab; use spaces`}},
		{"two keys on a line", "pair_memory: 0 connect_timeout: 1s\n", []string{`1: mapping values are not allowed in this context`}},
		{"an open bracket", "fallback_statuses: [403\npair_memory: 0\n", []string{`2: did not find expected ',' or ']' while parsing a flow sequence that starts on line 1`}},
		{"IPv6 without quotes", "hosts:\n  [::1]:5000:\n    pair_memory: 0\n", []string{`2: did not find expected key; put a name that starts with [ in quotes`}},
		{"a wildcard without quotes", "hosts:\n  *.example:\n", []string{`2: an alias (*) to what no anchor (&) before it names; put a name or value that starts with * in quotes`}},
		{"a tag", "pair_memory: !!str 5m\n", []string{`1: pair_memory: what starts with ! is a YAML tag, and none is read; put a value that starts with ! in quotes`}},
		{"not UTF-8", "# a\n# caf\xe9\n", []string{`2: not UTF-8; save it as UTF-8 text`}},
		{"UTF-16", "\xff\xfep\x00:\x00", []string{`1: not UTF-8; save it as UTF-8 text`}},
		{"a NUL", "# a\npair_memory: \x00\n", []string{`2: a control character; save it as UTF-8 text`}},
		{"a character that is none", "# \uffff\n", []string{` control characters are not allowed (value: 65535)`}},
		{"an alias of itself", "hosts: &h\n  r.example: *h\n", []string{`2: unknown key "r.example"; known here are connect_timeout, attempt_timeout, stream_idle_timeout, replay_limit, pair_memory, fallback_statuses, allow_users, allow_groups, allow_networks, renegotiation`}},

		{"all mistakes, in the order of the file", "hosts:\n  r.example: {pair_memory: 1, colour: red}\npair_memory: 2\nfoo: 3\nreplay_limit: 4x\n", []string{
			`2: pair_memory: "1" is no duration; write 1s`,
			`2: unknown key "colour"; known here are connect_timeout, attempt_timeout, stream_idle_timeout, replay_limit, pair_memory, fallback_statuses, allow_users, allow_groups, allow_networks, renegotiation`,
			`3: pair_memory: "2" is no duration; write 2s`,
			`4: unknown key "foo"; known here are hosts, listen, forward, listen_cert, listen_key, listen_client_ca, admin, admin_users, certs, state, unlisted, upstream_proxy, htpasswd, log_level, log_format, handshake_timeout, header_timeout, idle_timeout, drain_timeout, connect_timeout, attempt_timeout, stream_idle_timeout, replay_limit, pair_memory, fallback_statuses, allow_users, allow_groups, allow_networks`,
			`5: replay_limit: "4x" is no size; write a whole number of bytes, or of KiB, MiB, GiB or TiB, such as 512MiB`,
		}},
		{"a mistake that aliases repeat is one", "hosts:\n  a.example: &a\n    pair_memory: 1\n  b.example: *a\n  c.example: *a\n", []string{`3: pair_memory: "1" is no duration; write 1s`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("config.yaml", []byte(test.text))
			if err == nil {
				t.Fatalf("no error, but %+v", c)
			}
			want := "config.yaml:" + strings.Join(test.want, "\nconfig.yaml:")
			if err.Error() != want {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
		})
	}
}

// What an error tells to write can be written.
func TestWhatIsSuggestedIsAccepted(t *testing.T) {
	for text, want := range map[string]string{
		"10": "10s", "5 minutes": "5m", "5min": "5m", "5M": "5m", "90 sec": "90s", "1 hour": "1h", "2 days": "48h", "1d": "24h",
		"500 ms": "500ms", "500 milliseconds": "500ms", "1 s": "1s", "3 weeks": "a number", "minutes": "a number", "99999999 s": "a number",
	} {
		_, err := duration(text)
		if err == nil || !strings.Contains(err.Error(), "; write "+want) {
			t.Errorf("duration(%q): error %v, want the advice %s", text, err, want)
		}
		if _, err := duration(want); err != nil && want != "a number" {
			t.Errorf("the advice for %q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"1GB": "1GiB", "1 GiB": "1GiB", "1g": "1GiB", "512mb": "512MiB", "4k": "4KiB", "1t": "1TiB", "7 bytes": "7", "7B": "7",
		"GiB": "a whole number", "99999999999999999 GB": "a whole number", "1é": "a whole number", "1PiB": "a whole number", " 1": "a whole number",
	} {
		_, err := size(text)
		if err == nil || !strings.Contains(err.Error(), "; write "+want) {
			t.Errorf("size(%q): error %v, want the advice %s", text, err, want)
		}
		if _, err := size(want); err != nil && want != "a whole number" {
			t.Errorf("the advice for %q: %v", text, err)
		}
	}
}

// An operator who misspells upstream_proxy, or forgets quotes, has the line in a log.
func TestNoErrorShowsWhatMayBeASecret(t *testing.T) {
	for _, text := range []string{
		"upstream_prxy: http://user:S3cret@proxy.example\n",
		"upstream_prxy: [S3cret]\n",
		"upstream_prxy: {password: S3cret}\n",
		"upstream_prxy: {S3cret: S3cret}\n",
		"upstream_prxy: *S3cret\n",
		"upstream_prxy: !S3cret\n",
		"upstream_prxy: !S3cret!a x\n",
		"upstream_prxy: @S3cret\n",
		"upstream_prxy: %S3cret\n",
		"upstream_prxy: 'S3cret\n",
		"upstream_prxy: \"\\S3cret\"\n",
		"upstream_prxy: a: S3cret\n",
		"upstream_prxy: \tS3cret: a\n",
		"upstream_prxy: [S3cret\n",
		"upstream_prxy: |S3cret\n",
		"upstream_prxy: &S3cret\n  - *S3cre\n",
		"connect_timeout: !S3cret 5s\n",
		"S3cret\n",
		"!S3cret\n",
		"- S3cret\n",
	} {
		if _, err := Parse("config.yaml", []byte(text)); err == nil || strings.Contains(err.Error(), "S3cre") {
			t.Errorf("%q: error %v, want one that does not show the value", text, err)
		}
	}
}

func TestTheWrongFileIsNotReportedAtLength(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "%s%d: x\n", strings.Repeat("k", 100), i)
	}
	_, err := Parse("config.yaml", []byte(text.String()))
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxMistakes+1 || lines[maxMistakes] != "config.yaml: the rest was not read: is it certproxy's configuration?" {
		t.Errorf("%d lines, the last one %s", len(lines), lines[len(lines)-1])
	}
	if len(err.Error()) > 8<<10 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// A file within the bound costs no more than its size explains, whatever it nests
// or repeats. Without a bound each of these takes minutes or all memory.
func TestNoFileTakesForeverToRead(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, maxSize/len(s)) }
	half := func(s string) string { return strings.Repeat(s, maxSize/2/len(s)) }
	var manyHosts, manyAliases, longKeys strings.Builder
	manyHosts.WriteString("hosts:\n")
	for i := range 10_000 {
		fmt.Fprintf(&manyHosts, "  registry-%d.example:5000:\n    connect_timeout: 3s\n    pair_memory: 0\n", i)
	}
	manyAliases.WriteString("fallback_statuses: &s [" + strings.Repeat("403,", 10_000) + "403]\nhosts:\n")
	for i := range 10_000 {
		fmt.Fprintf(&manyAliases, "  r%d.example: {fallback_statuses: *s}\n", i)
	}
	for i := range 4 {
		fmt.Fprintf(&longKeys, "%d%s: x\n", i, strings.Repeat("replay_limit", maxSize/4/13))
	}
	for _, test := range []struct{ name, text, want string }{
		{"10,000 hosts", manyHosts.String(), ""},
		{"a list that aliases repeat", manyAliases.String(), "aliases stand for more than"},
		{"aliases of aliases", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nfallback_statuses: *c\n", "unknown key"},
		{"long keys", longKeys.String(), "unknown key"},
		{"brackets", fill("["), "depth"},
		{"braces", fill("{"), "depth"},
		{"dashes", fill("- "), "depth"},
		{"question marks", fill("? "), "depth"},
		{"closed brackets", half("[") + half("]"), "depth"},
		{"one key again and again", fill("pair_memory: 0\n"), "the rest was not read"},
		{"documents", fill("---\n"), "second document"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begun := time.Now()
			_, err := Parse("config.yaml", []byte(test.text))
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if test.want == "" && err != nil || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("error %.1000v, want %q", err, test.want)
			}
		})
	}
}
