package access

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

func mustParse(t *testing.T, l Lists) Policy {
	t.Helper()
	p, err := Parse(l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAMistakeInAListSaysWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		lists Lists
		want  string
	}{
		{Lists{Users: []string{"no-such-user"}}, `allow_users: there is no user "no-such-user" on this machine; check the spelling, or write the uid as a number`},
		{Lists{Users: []string{""}}, "an empty name"},
		{Lists{Users: []string{"4294967295"}}, "is not a uid"},
		{Lists{Users: []string{"a, b"}}, "write one name or uid an entry"},
		{Lists{Groups: []string{"no-such-group"}}, `allow_groups: there is no group "no-such-group"`},
		{Lists{Groups: []string{"*"}}, `write allow_users: ["*"]`},
		{Lists{Networks: []string{"*"}}, "0.0.0.0/0 and ::/0"},
		{Lists{Networks: []string{"10.1.2.3/8"}}, "write 10.0.0.0/8"},
		{Lists{Networks: []string{"example.com"}}, "not a network"},
		{Lists{Networks: []string{"127.0.0.1"}}, "named in allow_users"},
		{Lists{Networks: []string{"::ffff:10.0.0.0/104"}}, "write it as IPv4"},
	} {
		if _, err := Parse(c.lists); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%+v) = %v, want it to say %q", c.lists, err, c.want)
		}
	}
}

func TestEqualPoliciesAreWrittenInAnyOrder(t *testing.T) {
	a := mustParse(t, Lists{Users: []string{"0", "7"}, Networks: []string{"10.0.0.1"}})
	if !a.Equal(mustParse(t, Lists{Users: []string{"7", "root", "7"}, Networks: []string{"10.0.0.1/32"}})) {
		t.Error("the same policy in another order is another")
	}
	if a.Equal(mustParse(t, Lists{Users: []string{"7"}, Networks: []string{"10.0.0.1"}})) {
		t.Error("another policy is the same")
	}
}

func known(uid uint32, groups ...uint32) *Peer {
	return &Peer{Way: ByCredentials, Local: true, uid: uid, groups: groups, told: true}
}

func TestTheStricterLevelWins(t *testing.T) {
	own := known(uint32(os.Geteuid()))
	gone := &Peer{Local: true, Why: ErrGone}
	far := &Peer{Addr: netip.MustParseAddr("10.1.2.3"), Why: ErrRemote}
	none, seven := Lists{}, Lists{Users: []string{"7"}}
	all, group := Lists{Users: []string{"*"}}, Lists{Groups: []string{"70"}}
	ten, eleven := Lists{Networks: []string{"10.0.0.0/8"}}, Lists{Networks: []string{"11.0.0.0/8"}}
	for i, c := range []struct {
		peer        *Peer
		use         Use
		name        string
		global, own Lists
		want        bool
	}{
		{known(0), Identities, "", none, none, true},
		{own, Identities, "", none, none, true},
		{known(7), Identities, "", none, none, false},
		{known(7), Tunnel, "", none, none, true},
		{gone, Identities, "", none, none, false},
		{gone, Identities, "", seven, none, false},
		{gone, Identities, "", Lists{Users: []string{"0"}}, none, false},
		{gone, Identities, "", Lists{Groups: []string{"0"}}, none, false},
		{gone, Tunnel, "", none, none, true},
		{gone, Identities, "", all, none, true},
		{known(7), Identities, "", seven, none, true},
		{known(7), Identities, "", none, seven, true},
		{known(8), Identities, "", seven, none, false},
		{known(8), Identities, "", all, seven, false},
		{known(8), Identities, "", seven, all, false},
		{known(7), Identities, "", all, seven, true},
		{known(0), Identities, "", seven, none, false},
		{known(8, 70), Identities, "", group, none, true},
		{known(8, 71), Identities, "", group, none, false},
		{known(8, 70), Identities, "", group, seven, false},
		{known(8), Tunnel, "", seven, none, true},
		{known(8), Tunnel, "", none, seven, false},
		{known(8), Identities, "", ten, none, false},
		{known(8), Identities, "bob", none, none, true},
		{known(8), Identities, "bob", seven, none, false},
		{far, Identities, "", none, none, false},
		{far, Tunnel, "", none, none, false},
		{far, Identities, "", all, all, false},
		{far, Identities, "", ten, none, true},
		{far, Tunnel, "", ten, none, true},
		{far, Identities, "", none, ten, true},
		{far, Identities, "", ten, eleven, false},
		{far, Identities, "", eleven, ten, false},
		{far, Identities, "bob", eleven, none, true},
	} {
		r := Request{Use: c.use, Host: "h:443", Authenticated: c.name, Global: mustParse(t, c.global), ForHost: mustParse(t, c.own)}
		if got := Decide(c.peer, r); (got == nil) != c.want {
			t.Errorf("case %d: %v for %+v and %+v: refusal %v, want permitted %v", i, c.peer, c.global, c.own, got, c.want)
		}
	}
}

func TestARefusalNamesTheUserAndTheSetting(t *testing.T) {
	r := Request{Host: "registry.example:443"}
	for _, c := range []struct {
		peer         *Peer
		reason, hint string
	}{
		{known(4000000001), "user with uid 4000000001 may not use the identities of registry.example:443", `add "4000000001" to allow_users, for this host or for all, and reload`},
		{&Peer{Local: true, Why: ErrGone}, "an unknown user of this machine may not use the identities of registry.example:443: who it is could not be found (" + ErrGone.Error() + ")", ""},
		{&Peer{Addr: netip.MustParseAddr("10.1.2.3")}, "10.1.2.3 may not use the identities of registry.example:443", `authenticate to the proxy, or add "10.1.2.3" to allow_networks, for this host or for all, and reload`},
	} {
		got := Decide(c.peer, r)
		if got == nil || got.Reason != c.reason || c.hint != "" && got.Hint != c.hint {
			t.Errorf("refusal = %+v, want %q and %q", got, c.reason, c.hint)
		}
	}
	nobody := known(65534)
	if nobody.name() != "nobody" {
		t.Skip("PREREQUISITE MISSING: a user nobody in the database of this machine")
	}
	if got := Decide(nobody, r); got.Reason != "user nobody (uid 65534) may not use the identities of registry.example:443" ||
		got.Hint != `add "nobody" to allow_users, for this host or for all, and reload` {
		t.Errorf("refusal = %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"root", "*", "0", "10.0.0.0/8", "::1", "fe80::1%eth0", "00007", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Parse(Lists{Users: []string{s}}); err == nil && s != "*" && s != "root" {
			if n, nerr := strconv.ParseUint(s, 10, 32); nerr == nil && (p.users[0] != uint32(n) || p.everybody) {
				t.Errorf("user %q is %+v", s, p)
			}
		}
		if p, err := Parse(Lists{Networks: []string{s}}); err == nil && p.permitsAddr(netip.MustParseAddr("127.0.0.1")) && !strings.HasSuffix(s, "/0") {
			for bits := 1; bits < 8; bits++ { // a wide network around loopback is meant for others
				if p.networks[0].Bits() == bits {
					return
				}
			}
			t.Errorf("network %q admits loopback", s)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	p, err := Parse(Lists{Users: []string{"7", "8"}, Groups: []string{"70"}})
	if err != nil {
		b.Fatal(err)
	}
	peer := &Peer{Way: BySocketTable, Local: true, uid: 65534}
	peer.resolvedGroups = []uint32{70}
	peer.resolveGroups.Do(func() {})
	for b.Loop() {
		if Decide(peer, Request{Global: p}) != nil {
			b.Fatal("refused")
		}
	}
}
