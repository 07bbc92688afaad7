package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Replicas behind a Service share the CA and the pairs, and nothing else: a client that
// trusts the one CA does not see which of them it has. The log has what a replica more
// costs; docs/kubernetes.md has figures.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	server := newCrowdServer(t, name)
	host := hostOf(server.Server)
	state := caSecret(t)
	certs := rig.NewSecretVolume(t, 65532, pairSecret(host, server.Identities, server.Good))
	var replicas []*rig.Certproxy
	var addrs []string
	for range 3 {
		r := inPod(t, state, certs)
		replicas, addrs = append(replicas, r), append(addrs, r.Addr)
	}
	for _, n := range []int{1, 3} {
		// A copy reaches the service; all else of it is the first replica's.
		service := *replicas[0]
		service.Addr = rig.Balancer(t, addrs[:n]...)
		load := takeLoad(t, &service, host, server, replicas[:n])
		t.Logf("%d replicas: %v", n, load)
		for i, served := range load.served {
			if served == 0 {
				t.Errorf("of %d replicas, number %d has served nothing", n, i)
			}
		}
		// Each has its own connections to the host, which no other may use.
		if load.made < int64(n) {
			t.Errorf("%d connections to the host for %d replicas", load.made, n)
		}
	}
}

// A replicaLoad is what clients got of a service, and what it took.
type replicaLoad struct {
	rate      float64
	processor time.Duration // of all replicas, for each request
	made      int64         // connections to the host
	resident  []int         // bytes, of each replica
	served    []int         // requests, by each replica
}

func (l replicaLoad) String() string {
	s := fmt.Sprintf("%.0f requests/s, %v of processor time each, %d connections to the host;", l.rate, l.processor.Round(time.Microsecond), l.made)
	for i := range l.served {
		s += fmt.Sprintf(" %d requests, %d MiB;", l.served[i], l.resident[i]>>20)
	}
	return s
}

// takeLoad lets 24 clients with a connection each send requests one after the other.
func takeLoad(t *testing.T, service *rig.Certproxy, host string, server *crowdServer, replicas []*rig.Certproxy) replicaLoad {
	t.Helper()
	const clients, requests = 24, 100
	served := func() (out []int) {
		for _, r := range replicas {
			out = append(out, len(r.Lines("request served")))
		}
		return out
	}
	used := func() (all time.Duration) {
		for _, r := range replicas {
			all += processorTime(t, r.PID())
		}
		return all
	}
	servedBefore, usedBefore, made, began := served(), used(), server.made.Load(), time.Now()
	var wait sync.WaitGroup
	failed := make(chan string, clients)
	for range clients {
		client := service.Client(t)
		wait.Go(func() {
			for range requests {
				if got := get(client, "https://"+host+"/"); got != "200 content" {
					failed <- got
					return
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(began)
	if len(failed) > 0 {
		t.Fatalf("%d of %d clients failed, one with %s", len(failed), clients, <-failed)
	}
	load := replicaLoad{
		rate: clients * requests / took.Seconds(), processor: (used() - usedBefore) / (clients * requests), made: server.made.Load() - made,
	}
	for i, r := range replicas {
		load.resident = append(load.resident, residentOf(t, r.PID()))
		load.served = append(load.served, served()[i]-servedBefore[i])
	}
	return load
}
