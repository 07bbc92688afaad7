package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// A crowdServer requires a certificate, answers every request with a few bytes, and
// counts the connections that are made to it.
type crowdServer struct {
	*rig.Server
	http *httptest.Server
	made atomic.Int64
}

func newCrowdServer(t *testing.T, names ...string) *crowdServer {
	t.Helper()
	s := &crowdServer{}
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "content") })
	s.Server = rig.ServeTLSWith(t, rig.NewIdentities(t, names...), &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, answer,
		func(h *httptest.Server) {
			s.http = h
			h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					s.made.Add(1)
				}
			}
		})
	return s
}

// A crowd is clients that send requests at the same time, each one after the other.
type crowd struct {
	server *crowdServer
	proxy  *rig.Certproxy
	size   int
	over   []*http.Client // client i uses the i-th, or shares it
	hosts  []string       // are divided among the clients; a single one is asked by all
}

// newCrowd returns clients of HTTP/1.1, each with a connection of its own to each of
// its hosts, or of HTTP/2, which share a few connections.
func newCrowd(t *testing.T, s *crowdServer, proxy *rig.Certproxy, size int, http2 bool, hosts ...string) *crowd {
	t.Helper()
	c := &crowd{server: s, proxy: proxy, size: size, hosts: hosts}
	if http2 {
		for range 4 {
			c.over = append(c.over, proxy.ClientH2(t))
		}
		return c
	}
	for range size {
		c.over = append(c.over, proxy.Client(t))
	}
	return c
}

// share is how many hosts one client asks.
func (c *crowd) share() int { return max(1, len(c.hosts)/c.size) }

// ask makes a client's nth request and says what is wrong with its answer.
func (c *crowd) ask(client, nth int) error {
	host := c.hosts[(client*c.share()+nth%c.share())%len(c.hosts)]
	if got := get(c.over[client%len(c.over)], "https://"+host+"/"); got != "200 content" {
		return fmt.Errorf("client %d, %s: %s", client, host, got)
	}
	return nil
}

// connect opens the connections and leaves them idle. It returns how many, and how
// much memory certproxy has taken for them.
func (c *crowd) connect(t *testing.T) (connections, memory int) {
	t.Helper()
	before := residentOf(t, c.proxy.PID())
	n := len(c.over) * c.share()
	if failures := storm(n, func(i int) error { return c.ask(i/c.share(), i) }); len(failures) > 0 {
		t.Fatalf("%d of %d connections were not made, the first: %s", len(failures), n, failures[0])
	}
	return n, residentOf(t, c.proxy.PID()) - before
}

// leave closes the connections.
func (c *crowd) leave() {
	for _, client := range c.over {
		client.CloseIdleConnections()
	}
}

// measure lets the crowd send requests and looks at so many of them: from when all
// clients are busy, while all still are.
func (c *crowd) measure(t *testing.T, requests int64) figures {
	t.Helper()
	var done atomic.Int64
	var looking, stop atomic.Bool
	took := make([][]time.Duration, c.size)
	failed := make(chan error, c.size)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop.Store(true)
	for i := range c.size {
		clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				began, looked := time.Now(), looking.Load()
				if err := c.ask(i, n); err != nil {
					failed <- err
					return
				}
				if looked {
					took[i] = append(took[i], time.Since(began))
				}
				done.Add(1)
			}
		})
	}
	await := func(n int64) {
		t.Helper()
		rig.Eventually(t, fmt.Sprintf("%d requests are answered", n), func() bool { return done.Load() >= n || len(failed) > 0 })
	}
	await(int64(2 * c.size))
	looking.Store(true)
	pid := c.proxy.PID()
	began, used, answered, made := time.Now(), processorTime(t, pid), done.Load(), c.server.made.Load()
	await(answered + requests)
	answered, made = done.Load()-answered, c.server.made.Load()-made
	f := figures{
		rate:        float64(answered) / time.Since(began).Seconds(),
		processor:   (processorTime(t, pid) - used) / time.Duration(answered),
		made:        float64(made) / float64(answered),
		resident:    residentOf(t, pid),
		descriptors: descriptorsOf(t, pid),
	}
	stop.Store(true)
	clients.Wait()
	if len(failed) > 0 {
		t.Fatal(<-failed)
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	f.p50, f.p99 = all[len(all)/2], all[len(all)*99/100]
	return f
}
