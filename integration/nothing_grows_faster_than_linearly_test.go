package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it measures.
//
// However many clients there are, a request costs about the same, a connection holds
// about as much, and when the clients have gone, all of it comes back.
func TestNothingGrowsFasterThanLinearlyWithClients(t *testing.T) {
	s := newCrowdServer(t, name)
	certs, host := rig.Dir(t), hostOf(s.Server)
	s.HostDir(certs, host, s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})

	// The state to come back to: everything used once, idle connections closed.
	last := newCrowd(t, s, proxy, 1, false, host)
	settle := func() (descriptors int) {
		if err := last.ask(0, 0); err != nil {
			t.Fatal(err)
		}
		last.leave()
		s.http.CloseClientConnections()
		return descriptorsOf(t, proxy.PID())
	}
	descriptors := settle()
	start := residentOf(t, proxy.PID())
	rig.Eventually(t, "the count of descriptors comes to rest", func() bool {
		before := descriptors
		descriptors = settle()
		return descriptors == before
	})
	// A single one comes last: while it asks, the runtime gives back the memory that
	// the many needed.
	levels := []struct {
		size  int
		http2 bool
	}{{8, false}, {64, false}, {512, false}, {8, true}, {512, true}, {1, false}}
	best := make([]figures, len(levels))
	var resident [2]int
	for round := range resident {
		for i, l := range levels {
			c := newCrowd(t, s, proxy, l.size, l.http2, host)
			connections, memory := c.connect(t)
			f := c.measure(t, 1200)
			t.Logf("%3d clients, HTTP/2 %-5t: %v", l.size, l.http2, f)
			best[i] = best[i].better(f)
			c.leave()
			rig.Eventually(t, "the descriptors are given back", func() bool {
				return settle() <= descriptors
			})
			if most := descriptors + connections + l.size; f.descriptors > most {
				t.Errorf("%d descriptors for %d clients; want at most %d", f.descriptors, l.size, most)
			}
			if connections < 512 || raceDetected(t) {
				continue // the runtime's own memory moves more than that
			}
			idle, busy := memory/connections>>10, (f.resident-start)/connections>>10
			t.Logf("%d KiB for each idle client, %d KiB for each busy one", idle, busy)
			if idle > 60 || busy > 240 {
				t.Errorf("%d KiB for each idle client and %d KiB for each busy one; want at most 60 and 240", idle, busy)
			}
		}
		resident[round] = residentOf(t, proxy.PID())
	}
	t.Logf("memory: %d KiB at first, %d KiB after all clients, %d KiB after the same again", start>>10, resident[0]>>10, resident[1]>>10)
	if !raceDetected(t) {
		rig.Eventually(t, "the same clients again leave no more memory behind than at first", func() bool {
			settle()
			return residentOf(t, proxy.PID()) <= resident[0]+resident[0]/10+4<<20
		})
	}
	best[2].growsLinearly(t, best[0], 512/8)
	best[4].growsLinearly(t, best[3], 512/8)
}

// Not parallel: it measures.
//
// However many hosts are listed, a request costs the same, and a host holds little.
func TestNothingGrowsFasterThanLinearlyWithHosts(t *testing.T) {
	// Names are looked up in a file, for each connection: 10,000 would measure that.
	const asked = 100
	var names []string
	for i := range asked {
		names = append(names, fmt.Sprintf("registry-%d.example.test", i))
	}
	s := newCrowdServer(t, names...)
	levels := []int{1, 100, 10_000}
	var crowds []*crowd
	var resident []int
	for _, hosts := range levels {
		proxy := rig.Serve(t, rig.Options{Certs: listed(t, s, hosts), Names: names})
		resident = append(resident, residentOf(t, proxy.PID()))
		t.Logf("%5d hosts: %v of processor time until certproxy listens, %d KiB", hosts, processorTime(t, proxy.PID()), resident[len(resident)-1]>>10)
		var used []string
		for _, name := range names[:min(hosts, asked)] {
			used = append(used, fmt.Sprintf("%s:%d", name, s.Port))
		}
		c := newCrowd(t, s, proxy, 8, false, used...)
		c.connect(t)
		crowds = append(crowds, c)
	}
	best := make([]figures, len(levels))
	for range 3 {
		for i, c := range crowds {
			f := c.measure(t, 1200)
			t.Logf("8 clients, %3d of %5d hosts: %v", len(c.hosts), levels[i], f)
			best[i] = best[i].better(f)
		}
	}
	one, hundred, all := best[0].processor, best[1].processor, best[2].processor
	if all > hundred*3/2 {
		t.Errorf("a request takes %v of processor time with 10,000 hosts, and %v with 100; want at most 1.5 times as much", all, hundred)
	}
	// One host is asked over 8 connections, 100 over 100: that too costs something.
	if all > 2*one {
		t.Errorf("a request takes %v of processor time with 10,000 hosts, and %v with one; want at most 2 times as much", all, one)
	}
	if each := (resident[2] - resident[0]) / levels[2]; each > 40<<10 && !raceDetected(t) {
		t.Errorf("each of 10,000 hosts takes %d bytes of memory; want at most 40 KiB", each)
	}
}

// listed makes a root of so many hosts. All but the first are links to it, which are
// quickly made; certproxy reads each as a host of its own.
func listed(t *testing.T, s *crowdServer, hosts int) string {
	t.Helper()
	certs := rig.Dir(t)
	host := func(i int) string { return fmt.Sprintf("registry-%d.example.test:%d", i, s.Port) }
	s.HostDir(certs, host(0), s.Good)
	for i := 1; i < hosts; i++ {
		if err := os.Symlink(host(0), filepath.Join(certs, host(i))); err != nil {
			t.Fatal(err)
		}
	}
	return certs
}
