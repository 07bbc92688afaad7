package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// Not parallel: it looks at the clock.
//
// A host's certificate is rotated under load: first to another of its CA, which nobody
// notices, then to one of a new CA, which is refused until certs.d has that, and to one
// that is expired, which is refused.
func TestAHostsCertificateIsRotated(t *testing.T) {
	f := newFaultField(t, "")
	dir := filepath.Join(f.proxy.Certs, f.faulty.Host())
	ask := func() rig.Reply {
		return rig.Ask(f.proxy.Client(t), f.faulty.Host(), f.faulty.Pair, rig.Question{Seed: 5, Up: 5000, Down: 5000})
	}
	later := time.Now().Add(time.Hour)
	options := throwaway.Options{Name: faultyName, Hosts: []string{faultyName}, NotAfter: later}
	next := throwaway.NewCA("the next CA")
	for _, c := range []struct {
		name string
		show *throwaway.Certificate
		do   func()
		want string // what the client is told; "" is served
	}{
		{"another of the same CA", f.faulty.CA.Issue(options), func() {}, ""},
		{"of another CA", next.Issue(options), func() {}, "502"},
		{"and that CA comes to certs.d", next.Issue(options), func() { next.WriteRoot(dir, "next") }, ""},
		{"expired", next.Issue(throwaway.Options{Name: faultyName, Hosts: []string{faultyName}, NotBefore: later.Add(-3 * time.Hour), NotAfter: later.Add(-2 * time.Hour)}), func() {}, "502"},
		{"and renewed", next.Issue(options), func() {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.vigil.During(t, func() {
				f.faulty.Present(c.show)
				f.faulty.Disconnect()
				c.do()
				var r rig.Reply
				took := rig.Eventually(t, "it is answered "+c.want, func() bool {
					r = ask()
					return r.Wrong != "" || c.want == "" && r.Failed == "" || c.want != "" && strings.HasPrefix(r.Failed, c.want)
				})
				t.Logf("after %v: %.200s", took.Round(time.Millisecond), r.Failed)
				if r.Wrong != "" {
					t.Error(r.Wrong)
				}
			})
		})
	}
}

// Not parallel: it looks at the clock.
//
// The files of the local CA are replaced and removed under a running certproxy: it goes
// on with the CA that it has, until it is started again.
func TestTheLocalCAIsReplacedUnderARunningProxy(t *testing.T) {
	f := newFaultField(t, "")
	state := filepath.Dir(f.proxy.CAFile)
	old := f.proxy.Client(t) // trusts what is there now
	other := filepath.Join(rig.Dir(t), "other")
	rig.OK(t, rig.Command{Args: []string{rig.Binary(t), "ca", "init", "--state", other}})
	f.vigil.During(t, func() {
		for _, name := range []string{"ca.crt", "ca.key"} {
			rig.Write(t, state, name, rig.Read(t, filepath.Join(other, name)), 0o600)
		}
		if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			old.CloseIdleConnections() // each makes a connection of its own, with a leaf
			if r := rig.Ask(old, f.faulty.Host(), f.faulty.Pair, rig.Question{Down: 100}); r.Failed+r.Wrong != "" {
				t.Errorf("a client of the CA in use: %s%s", r.Failed, r.Wrong)
			}
		}
	})
	again := rig.Serve(t, rig.Options{Certs: f.proxy.Certs, State: state, Names: []string{faultyName}})
	if r := rig.Ask(again.Client(t), f.faulty.Host(), f.faulty.Pair, rig.Question{Down: 100}); r.Failed+r.Wrong != "" {
		t.Errorf("started with the new CA: %s%s", r.Failed, r.Wrong)
	}
	if r := rig.Ask(old, f.faulty.Host(), f.faulty.Pair, rig.Question{Down: 100}); r.Failed+r.Wrong != "" {
		t.Errorf("the one that runs: %s%s", r.Failed, r.Wrong)
	}
	f.vigil.During(t, func() {
		if err := os.RemoveAll(state); err != nil {
			t.Fatal(err)
		}
	})
}

// Not parallel: it looks at the clock.
//
// A file system with host directories hangs: whoever looks into it waits for ever. What is
// loaded goes on being served, and certproxy can be stopped.
func TestARootThatHangsStopsNobody(t *testing.T) {
	f := newFaultField(t, "")
	end := rig.MountHung(t, f.proxy.PID(), f.proxy.Certs)
	f.vigil.During(t, func() {
		for range 3 { // a rescan looks into it
			if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			<-time.After(300 * time.Millisecond)
		}
	})
	if r := rig.Ask(f.proxy.Client(t), f.faulty.Host(), f.faulty.Pair, rig.Question{Up: 100, Down: 100}); r.Failed+r.Wrong != "" {
		t.Errorf("its host: %s%s", r.Failed, r.Wrong)
	}
	end()
	// Its files are there again, and changes are seen.
	throwaway.NewCA("new").WriteRoot(filepath.Join(f.proxy.Certs, "new.example:443"), "ca")
	if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	f.proxy.WaitLine(t, "reloaded", func(l rig.Line) bool { return strings.Contains(fmt.Sprint(l["added"]), "new.example:443") })
	f.vigil.During(t, func() {})
}

// A certproxy whose root hangs ends when it is told to.
func TestACertproxyWhoseRootHangsCanBeStopped(t *testing.T) {
	t.Parallel()
	s := rig.ServeHonest(t, name)
	certs := rig.Dir(t)
	s.HostDir(certs, s.Host(), s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	rig.MountHung(t, proxy.PID(), certs)
	if err := proxy.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-time.After(300 * time.Millisecond)
	began := time.Now()
	proxy.Stop(t)
	t.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
}

// Not parallel: it looks at the clock.
//
// The root is deleted, and made again: its hosts are carried as those without a directory,
// then served with their pairs again. Hosts of another root notice nothing.
func TestTheRootIsDeletedAndMadeAgain(t *testing.T) {
	healthy := []*rig.Honest{rig.ServeHonest(t, "one.example.test"), rig.ServeHonest(t, "two.example.test")}
	s := rig.ServeHonest(t, name)
	kept, gone := rig.Dir(t), filepath.Join(rig.Dir(t), "certs.d")
	for _, h := range healthy {
		h.HostDir(kept, h.Host(), h.Good)
	}
	s.HostDir(gone, s.Host(), s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: kept, Args: []string{"--certs", gone}, Level: "info", Names: []string{"one.example.test", "two.example.test", name}})
	vigil := rig.Keep(t, proxy, nil, healthy...)
	ask := func() rig.Reply {
		client := proxy.Client(t)
		defer client.CloseIdleConnections()
		return rig.Ask(client, s.Host(), s.Pair, rig.Question{Up: 1000, Down: 1000})
	}
	for range 5 {
		vigil.During(t, func() {
			if err := os.RemoveAll(gone); err != nil {
				t.Fatal(err)
			}
			rig.Eventually(t, "the host is tunnelled", func() bool {
				r := ask()
				return strings.Contains(r.Failed, "certificate signed by unknown authority") // its own, not a leaf
			})
			s.HostDir(gone, s.Host(), s.Good)
			rig.Eventually(t, "the host is served", func() bool {
				r := ask()
				return r.Failed+r.Wrong == ""
			})
		})
	}
}

// Not parallel: it takes the machine.
//
// 1,000 reloads, each with another pair, under load: no request fails or is answered under
// a pair that was replaced before it began.
func TestAThousandReloadsUnderLoad(t *testing.T) {
	const reloads = 1000
	f := newFaultField(t, "")
	id := f.faulty
	dir := filepath.Join(f.proxy.Certs, id.Host())
	pairs := []*throwaway.Certificate{id.CA.Issue(throwaway.Options{Name: "even"}), id.CA.Issue(throwaway.Options{Name: "odd"})}
	client := f.proxy.Client(t)
	before := f.proxy.Holds(t)
	failed := 0
	f.vigil.During(t, func() {
		for i := range reloads {
			pair := pairs[i%2]
			rename(t, pair, dir, "a")
			if err := f.proxy.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			name := []string{"even", "odd"}[i%2]
			rig.Eventually(t, "the pair is in use", func() bool {
				r := rig.Ask(client, id.Host(), name, rig.Question{Seed: uint64(i), Up: 10, Down: 10})
				if r.Failed != "" {
					failed++
				}
				return r.Failed+r.Wrong == ""
			})
		}
	})
	if failed > 0 {
		t.Errorf("%d requests failed", failed)
	}
	f.proxy.Settles(t, before)
	t.Logf("certproxy holds %v", f.proxy.Holds(t))
}

// Two certproxies that start at once with one state directory, in which is nothing, have
// one CA, and go on beside each other; one that is killed leaves the other alone.
func TestTwoCertproxiesShareAStateDirectory(t *testing.T) {
	t.Parallel()
	s := rig.ServeHonest(t, name)
	certs := rig.Dir(t)
	s.HostDir(certs, s.Host(), s.Good)
	for range 3 {
		state := filepath.Join(rig.Dir(t), "state")
		proxies := make([]*rig.Certproxy, 2)
		var both sync.WaitGroup
		for i := range proxies {
			both.Go(func() {
				proxies[i] = rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, State: state, Killed: i == 0})
			})
		}
		both.Wait()
		made := 0
		var prints []string
		for _, p := range proxies {
			line := p.Lines("local ca")[0]
			prints = append(prints, line.Text("fingerprint"))
			if line["made_now"] == true {
				made++
			}
			if r := rig.Ask(p.Client(t), s.Host(), s.Pair, rig.Question{Up: 100, Down: 100}); r.Failed+r.Wrong != "" {
				t.Errorf("%s%s", r.Failed, r.Wrong)
			}
		}
		if made != 1 || prints[0] != prints[1] {
			t.Errorf("%d of them made a CA, and they have %q", made, prints)
		}
		if err := proxies[0].Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if r := rig.Ask(proxies[1].Client(t), s.Host(), s.Pair, rig.Question{Up: 100, Down: 100}); r.Failed+r.Wrong != "" {
			t.Errorf("after the other was killed: %s%s", r.Failed, r.Wrong)
		}
	}
}
