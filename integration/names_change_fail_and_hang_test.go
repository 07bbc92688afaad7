package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// A host's name that moves, fails or is never answered is that host's affair: its clients
// are told what happened, within connect_timeout, and others notice nothing.
func TestNamesThatChangeFailAndHang(t *testing.T) {
	const moving, steady = "moving.example.test", "steady.example.test"
	dns := rig.ServeDNS(t)
	one := rig.ServeHonest(t, steady)
	dns.Answer(steady, rig.DNSAnswer{IP: net.IPv4(127, 0, 0, 1)})
	// Two servers of one name and port, on two addresses.
	first := rig.ServeFaulty(t, moving)
	second := first.Twin(t, "127.0.0.2")
	certs := rig.Dir(t)
	one.HostDir(certs, one.Host(), one.Good)
	first.HostDir(certs, first.Host(), first.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Level: "info", Under: dns.Under(t), Config: "connect_timeout: 800ms\n"})
	vigil := rig.Keep(t, proxy, nil, one)

	ask := func() rig.Reply {
		client := proxy.Client(t)
		defer client.CloseIdleConnections()
		return rig.Ask(client, first.Host(), first.Pair, rig.Question{Seed: 3, Up: 1000, Down: 1000})
	}
	for _, c := range []struct {
		name   string
		answer rig.DNSAnswer
		want   string // the beginning of what the client is told; "" is served
		by     *rig.Faulty
	}{
		{"at one address", rig.DNSAnswer{IP: net.IPv4(127, 0, 0, 1)}, "", first},
		{"moved to another", rig.DNSAnswer{IP: net.IPv4(127, 0, 0, 2)}, "", second},
		{"fails", rig.DNSAnswer{Fails: true}, "502", nil},
		{"never answered", rig.DNSAnswer{Silent: true}, "504", nil},
		{"back again", rig.DNSAnswer{IP: net.IPv4(127, 0, 0, 1)}, "", first},
	} {
		t.Run(c.name, func(t *testing.T) {
			dns.Answer(moving, c.answer)
			// What was connected stays so, wherever the name has gone: as it does with every client.
			first.Disconnect()
			second.Disconnect()
			before := [2]int64{first.Answered.Load(), second.Answered.Load()}
			vigil.During(t, func() {
				for range 3 {
					r := ask()
					if !strings.HasPrefix(r.Failed, c.want) || c.want == "" && r.Failed != "" || r.Wrong != "" {
						t.Errorf("%s%s; want %q", r.Failed, r.Wrong, c.want)
					}
					if r.Took > 3*time.Second {
						t.Errorf("it took %v", r.Took)
					}
					if c.want != "" && !strings.Contains(r.Failed, moving) {
						t.Errorf("what the client is told does not name the host: %s", r.Failed)
					}
				}
			})
			for i, s := range []*rig.Faulty{first, second} {
				if got, want := s.Answered.Load()-before[i], map[bool]int64{true: 3}[s == c.by]; got != want {
					t.Errorf("the server at 127.0.0.%d answered %d requests; want %d", i+1, got, want)
				}
			}
		})
	}
	if n := dns.Asked(moving); n == 0 {
		t.Error(fmt.Errorf("the name server was not asked"))
	}
}
