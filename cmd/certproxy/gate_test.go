package main

import (
	"encoding/base64"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/proxy"
)

// What a refusal advises has to work: a line in the file does nothing where a flag or a
// variable overrides it, nor a flag where a host has lists of its own.
func TestTheHintOfARefusalIsForWhereTheListIs(t *testing.T) {
	const host = "registry.example:443"
	local := &access.Peer{Local: true, Why: access.ErrGone}
	remote := &access.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Why: access.ErrRemote}
	users := preset("allow_users", "0")
	for _, test := range []struct {
		name    string
		file    string
		environ []string
		flags   []config.Setting
		peer    *access.Peer
		want    []string
		not     string
	}{
		{name: "by default", peer: local, want: []string{"to allow_users, for this host or for all, to admit", "; or start certproxy with --allow-user '*'"}},
		{name: "by the file", file: "allow_users: [0]", peer: local, want: []string{"to allow_users, for all hosts, to admit"}, not: "start certproxy"},
		{name: "by a variable", environ: []string{"CERTPROXY_ALLOW_USERS=0"}, file: "allow_users: ['*']", peer: local, want: []string{"allow_users", "CERTPROXY_ALLOW_USERS overrides the file: add '*' there and restart"}},
		{name: "by a flag", flags: []config.Setting{users}, environ: []string{"CERTPROXY_ALLOW_USERS=*"}, peer: local, want: []string{"allow_users", "overrides the file: start it with --allow-user '*' too"}},
		{name: "by the host", file: "hosts: {registry.example: {allow_users: [0]}}", peer: local, want: []string{"to allow_users, for this host, to admit"}, not: "--allow-user"},
		{name: "from another machine", peer: remote, want: []string{`add "192.0.2.1" to allow_networks, for this host or for all`, "; or start certproxy with --allow-network 192.0.2.1"}},
		{name: "from another machine, by the host", file: "hosts: {registry.example: {allow_networks: [10.0.0.0/8]}}", peer: remote, want: []string{"allow_networks, for this host, and reload"}, not: "--allow-network"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, mistakes := sources{environ: test.environ, flags: test.flags}.lay([]byte(test.file), true)
			policies, more := parsePolicies(o)
			if len(mistakes)+len(more) > 0 {
				t.Fatal(mistakes, more)
			}
			refused := access.Decide(test.peer, access.Request{Host: host, Global: policies.global, ForHost: policies.hosts[host]})
			if refused == nil {
				t.Fatal("it was not refused")
			}
			hint := o.hint(refused, test.peer)
			for _, want := range test.want {
				if !strings.Contains(hint, want) {
					t.Errorf("hint %q, want %q in it", hint, want)
				}
			}
			if test.not != "" && strings.Contains(hint, test.not) {
				t.Errorf("hint %q, which would not help", hint)
			}
		})
	}
}

// A proxy in front of this one sends requests of many users over one connection: what one has
// proven is not said of the next.
func TestANameIsProvenForOneRequestAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwords")
	const ofPW = "$2a$04$9LaFXHR9TA0AGNvuVdnMq.Z1PdAvamhyx.T5KE4jUwwr6BsWqVDhy"
	if err := os.WriteFile(file, []byte("alice:"+ofPW+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := sources{flags: []config.Setting{preset("htpasswd", file), preset("admin", "off")}}.plan(nil, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{gate: &gate{settings: newSettings(p), log: zap.NewNop()}, peer: &access.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Why: access.ErrRemote}}
	for _, step := range []struct{ credentials, name string }{
		{"alice:pw", "alice"}, {"alice:no", ""}, {"alice:pw", "alice"}, {"", ""}, {"alice:pw", "alice"},
	} {
		authorization := ""
		if step.credentials != "" {
			authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(step.credentials))
		}
		denied := v.May(t.Context(), proxy.Ask{Host: "registry.example:443", Authorization: authorization})
		if (denied == nil) != (step.name != "") || v.Name() != step.name {
			t.Errorf("after %q: denied %v, the name is %q, want %q", step.credentials, denied, v.Name(), step.name)
		}
	}
}
