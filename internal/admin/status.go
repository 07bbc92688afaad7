package admin

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/listing"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/proxy"
)

// A Status is all that the page shows. The field names are a promise to programs.
type Status struct {
	Version   string            `json:"version"`
	Started   time.Time         `json:"started"`
	Time      time.Time         `json:"time"`
	Ready     bool              `json:"ready"`
	Listeners []Listener        `json:"listeners"`
	CA        CA                `json:"ca"`
	Open      Open              `json:"open"`
	Totals    metrics.Totals    `json:"totals"` // since the start
	Reloads   Reloads           `json:"reloads"`
	Roots     []string          `json:"roots"`
	Hosts     []Host            `json:"hosts"`
	Problems  []listing.Problem `json:"problems"`
	Recent    []Request         `json:"recent"` // the last one first
}

// Open is what is open now.
type Open struct {
	Clients        int `json:"clients"`
	Requests       int `json:"requests"`
	Tunnels        int `json:"tunnels"`
	UpstreamActive int `json:"upstream_active"`
	UpstreamIdle   int `json:"upstream_idle"`
}

// Reloads are what became of the SIGHUPs, at each of which the configuration and every
// directory are read again.
type Reloads struct {
	Asked    uint64   `json:"asked"`              // SIGHUPs
	Answered uint64   `json:"answered"`           // those for which all was read
	Mistakes []string `json:"mistakes,omitempty"` // why the last one changed nothing of the configuration
	Restart  []string `json:"restart,omitempty"`  // keys that the last one found changed, and that need a restart
}

// CA is the local CA's certificate.
type CA struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
	NotAfter    time.Time `json:"not_after"`
}

// A Host is one host directory, and what became of it.
type Host struct {
	listing.Entry
	Pairs    []Pair `json:"pairs"`
	Requests uint64 `json:"requests"` // since the start, or since the directory came

	// Last is what the last attempt without a certificate came to.
	Last *metrics.LastAttempt `json:"last,omitempty"`
}

// A Pair is a pair, and what the last attempt with it came to.
type Pair struct {
	listing.Pair
	Last *metrics.LastAttempt `json:"last,omitempty"`
}

// status gathers all but the hosts, of which there may be many, and returns the index
// that they are in.
func (h *Handler) status() (*Status, *certs.Index) {
	ix, c, now := h.config.Index(), h.config, h.config.Now()
	s := &Status{
		Version: c.Version, Started: c.Started, Time: now, Ready: c.Ready() == nil, Listeners: *h.doors.Load(),
		CA:   CA{Subject: c.CA.Subject.String(), Fingerprint: c.Fingerprint, NotAfter: c.CA.NotAfter},
		Open: open(c.Stats()), Totals: c.Metrics.Totals(), Roots: c.Roots,
		Hosts: []Host{}, Problems: listing.Problems(ix, now), Recent: c.Recent.list(),
	}
	if c.Reloads != nil {
		s.Reloads = c.Reloads()
	}
	return s, ix
}

// host gathers what is to be said about a host.
func (h *Handler) host(ix *certs.Index, of *certs.Host) Host {
	m := h.config.Metrics
	out := Host{Entry: listing.OfHost(ix, of), Pairs: []Pair{}, Requests: m.Requests(of.Name), Last: m.Last(of.Name, "")}
	for _, p := range out.Entry.Pairs {
		out.Pairs = append(out.Pairs, Pair{p, m.Last(of.Name, p.Name)})
	}
	return out
}

func (h *Handler) serveStatus(w http.ResponseWriter, _ *http.Request) {
	s, ix := h.status()
	for _, host := range ix.Hosts() {
		s.Hosts = append(s.Hosts, h.host(ix, host))
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // fails only when the client is gone
}

// A revision counts the changes of the index that somebody saw.
type revision struct {
	mu   sync.Mutex
	last *certs.Index
	n    uint64
}

func (r *revision) of(ix *certs.Index) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != ix {
		r.last = ix
		r.n++
	}
	return r.n
}

func open(s proxy.Stats) Open {
	return Open{Clients: s.Clients, Requests: s.Requests, Tunnels: s.Tunnels, UpstreamActive: s.UpstreamActive, UpstreamIdle: s.UpstreamIdle}
}
