package admin

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/proxy"
)

// A Status is all that the page shows. The field names are a promise to programs; those
// of hosts, pairs and problems are the ones of certproxy list --json.
type Status struct {
	Version   string         `json:"version"`
	Started   time.Time      `json:"started"`
	Time      time.Time      `json:"time"`
	Ready     bool           `json:"ready"`
	Listeners []Listener     `json:"listeners"`
	CA        CA             `json:"ca"`
	Open      Open           `json:"open"`
	Totals    metrics.Totals `json:"totals"` // since the start
	Reloads   Reloads        `json:"reloads"`
	Roots     []string       `json:"roots"`
	Hosts     []Host         `json:"hosts"`
	Problems  []Problem      `json:"problems"`
	Recent    []Request      `json:"recent"` // the last one first
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

// A Host is one host directory.
type Host struct {
	Host      string   `json:"host"`
	Directory string   `json:"directory"`
	Action    string   `json:"action"` // intercept, tunnel or unusable
	CARoots   []CARoot `json:"ca_roots"`
	Pairs     []Pair   `json:"pairs"` // in the order in which they are tried
	Shadowed  []string `json:"shadowed,omitempty"`
	Requests  uint64   `json:"requests"` // since the start, or since the directory came

	// Last is what the last attempt without a certificate came to.
	Last *metrics.LastAttempt `json:"last,omitempty"`
}

// A CARoot is a certificate that a host's own is verified with.
type CARoot struct {
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
}

// A Pair is a client certificate with its key.
type Pair struct {
	Name      string    `json:"name"`
	CertFile  string    `json:"cert_file"`
	KeyFile   string    `json:"key_file"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"` // hexadecimal
	KeyType   string    `json:"key_type"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`

	Last *metrics.LastAttempt `json:"last,omitempty"`
}

// A Problem is what cannot be used, or not for long.
type Problem struct {
	Host    string `json:"host,omitempty"`
	Pair    string `json:"pair,omitempty"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Detail  string `json:"detail,omitempty"`
	Hint    string `json:"hint"`
	Used    bool   `json:"used"` // a warning: the file is used all the same
}

// status gathers all but the hosts, of which there may be many, and returns the index
// that they are in.
func (h *Handler) status() (*Status, *certs.Index) {
	ix, c := h.config.Index(), h.config
	s := &Status{
		Version: c.Version, Started: c.Started, Time: c.Now(), Ready: c.Ready() == nil, Listeners: *h.doors.Load(),
		CA:   CA{Subject: c.CA.Subject.String(), Fingerprint: c.Fingerprint, NotAfter: c.CA.NotAfter},
		Open: open(c.Stats()), Totals: c.Metrics.Totals(), Roots: c.Roots,
		Hosts: []Host{}, Problems: []Problem{}, Recent: c.Recent.list(),
	}
	if c.Reloads != nil {
		s.Reloads = c.Reloads()
	}
	for _, p := range ix.Problems(s.Time) {
		s.Problems = append(s.Problems, Problem{Host: p.Host, Pair: p.Pair, Path: p.Path, Problem: string(p.Kind), Detail: p.Detail, Hint: p.Hint, Used: p.Used})
	}
	return s, ix
}

// host gathers what is to be said about a host.
func (h *Handler) host(ix *certs.Index, of *certs.Host) Host {
	m := h.config.Metrics
	out := Host{Host: of.Name, Directory: of.Dir, Action: of.Action.String(), CARoots: []CARoot{}, Pairs: []Pair{},
		Shadowed: ix.Shadowed(of.Name), Requests: m.Requests(of.Name), Last: m.Last(of.Name, "")}
	for _, c := range of.CARoots {
		out.CARoots = append(out.CARoots, CARoot{c.Subject.String(), c.NotAfter})
	}
	for _, p := range of.Pairs {
		leaf := p.Leaf()
		out.Pairs = append(out.Pairs, Pair{
			Name: p.Name, CertFile: p.CertFile, KeyFile: p.KeyFile, Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
			Serial: leaf.SerialNumber.Text(16), KeyType: certs.KeyType(leaf), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
			Last: m.Last(of.Name, p.Name),
		})
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
