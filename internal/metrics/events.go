package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certproxy/certproxy/proxy"
)

// Unlisted is the host label of everything that is about no host with a directory.
const Unlisted = "unlisted"

// A Source is what is read again while the proxy runs.
type Source string

const (
	Certs         Source = "certs"
	Configuration Source = "config"
)

// hostCounts are what happened to one host.
type hostCounts struct {
	requests [codeWords * endingWords]atomic.Uint64

	mu    sync.RWMutex
	pairs map[string]*pairCounts
}

// pairCounts are the attempts made with one pair.
type pairCounts struct {
	verdicts [verdictWords]atomic.Uint64
	last     atomic.Pointer[LastAttempt]
}

// A LastAttempt is what the last attempt with a pair came to.
type LastAttempt struct {
	Verdict string    `json:"verdict"` // one of [proxy.AttemptVerdicts]
	Outcome string    `json:"outcome"` // "200", "alert 48 (unknown certificate authority)"
	At      time.Time `json:"at"`
}

// The words of labels, and how many there are. An event that has another one is counted
// under the first.
const codeWords, endingWords, verdictWords = 6, 4, 8

func codes() [codeWords]string { return [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} }

func endings() [endingWords]string {
	return [...]string{string(proxy.Served), string(proxy.Refused), string(proxy.Canceled), string(proxy.Broken)}
}

func verdicts() [verdictWords]string { return [verdictWords]string(proxy.AttemptVerdicts()) }

// RequestEnded counts a request.
func (m *Metrics) RequestEnded(e proxy.RequestEnd) {
	m.totals.requests.Add(1)
	m.totals.bytesIn.Add(uint64(e.BytesIn))   //nolint:gosec // never negative: it was counted up from 0
	m.totals.bytesOut.Add(uint64(e.BytesOut)) //nolint:gosec // never negative: it was counted up from 0
	if e.Ending == proxy.Refused {
		m.totals.refused.Add(1)
		m.refusals.WithLabelValues(refusalKind(e.Refusal)).Inc()
	}
	m.requestTook.Observe(e.Duration.Seconds())
	m.received.WithLabelValues("request").Add(float64(e.BytesIn))
	m.sent.WithLabelValues("request").Add(float64(e.BytesOut))
	m.of(e.Host).requests[requestCell(e)].Add(1)
}

func requestCell(e proxy.RequestEnd) int {
	code := e.Status / 100
	if code < 0 || code >= codeWords {
		code = 0
	}
	words := endings()
	return code*endingWords + max(0, slices.Index(words[:], string(e.Ending)))
}

// Attempted counts an attempt.
func (m *Metrics) Attempted(a proxy.Attempt) {
	m.totals.attempts.Add(1)
	m.attemptTook.Observe(a.Duration.Seconds())
	p := m.of(a.Host).pair(a.Pair)
	p.verdicts[verdictCell(a.Verdict)].Add(1)
	p.last.Store(&LastAttempt{Verdict: a.Verdict, Outcome: a.Outcome, At: time.Now()})
}

// verdictCell is the place of a word among the verdicts.
func verdictCell(word string) int {
	switch word { // the steady state
	case "accepted":
		return 0
	case "not asked":
		return 1
	}
	return max(0, slices.Index(proxy.AttemptVerdicts(), word))
}

// TunnelEnded counts a tunnel.
func (m *Metrics) TunnelEnded(e proxy.TunnelEnd) {
	m.totals.tunnels.Add(1)
	m.totals.bytesIn.Add(uint64(e.BytesIn))   //nolint:gosec // never negative: it was counted up from 0
	m.totals.bytesOut.Add(uint64(e.BytesOut)) //nolint:gosec // never negative: it was counted up from 0
	ending := "closed"
	if e.Broken != "" {
		ending = "broken"
	}
	m.tunnels.WithLabelValues(ending).Inc()
	m.received.WithLabelValues("tunnel").Add(float64(e.BytesIn))
	m.sent.WithLabelValues("tunnel").Add(float64(e.BytesOut))
}

// HandshakeEnded counts a handshake.
func (m *Metrics) HandshakeEnded(e proxy.HandshakeEnd) {
	m.handshakes.WithLabelValues(string(e.Leg), e.Outcome).Inc()
	if e.Outcome == "ok" {
		m.handshakeTook.WithLabelValues(string(e.Leg)).Observe(e.Duration.Seconds())
	}
}

// Reloaded counts that certs.d or the configuration was read again; err is why it could
// not be. Counts of hosts and pairs that are gone are forgotten.
func (m *Metrics) Reloaded(of Source, err error) {
	if err != nil {
		m.failures.WithLabelValues(string(of)).Inc()
		m.lastSucceeded.WithLabelValues(string(of)).Set(0)
	} else {
		m.reloads.WithLabelValues(string(of)).Inc()
		m.lastOK.WithLabelValues(string(of)).SetToCurrentTime()
		m.lastSucceeded.WithLabelValues(string(of)).Set(1)
	}
	if of == Certs {
		m.forget()
	}
}

// of returns the counts of a host. What is asked for is a client's word until a directory
// bears it out.
func (m *Metrics) of(host string) *hostCounts {
	if _, listed := m.config.Index().Lookup(host); !listed {
		return &m.unlisted
	}
	if c, ok := m.hosts.Load(host); ok {
		return c.(*hostCounts)
	}
	c, _ := m.hosts.LoadOrStore(host, &hostCounts{})
	return c.(*hostCounts)
}

func (h *hostCounts) pair(name string) *pairCounts {
	h.mu.RLock()
	p := h.pairs[name]
	h.mu.RUnlock()
	if p != nil {
		return p
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p = h.pairs[name]; p != nil {
		return p
	}
	if h.pairs == nil {
		h.pairs = map[string]*pairCounts{}
	}
	p = &pairCounts{}
	h.pairs[name] = p
	return p
}

// Last returns what the last attempt with a pair of a host came to, or nil.
func (m *Metrics) Last(host, pair string) *LastAttempt {
	c, ok := m.hosts.Load(host)
	if !ok {
		return nil
	}
	h := c.(*hostCounts)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.pairs[pair]; p != nil {
		return p.last.Load()
	}
	return nil
}

// Requests is how many requests a listed host had.
func (m *Metrics) Requests(host string) uint64 {
	c, ok := m.hosts.Load(host)
	if !ok {
		return 0
	}
	var n uint64
	h := c.(*hostCounts)
	for i := range h.requests {
		n += h.requests[i].Load()
	}
	return n
}

// forget lets go of hosts and pairs that are not in the index any more.
func (m *Metrics) forget() {
	ix := m.config.Index()
	m.hosts.Range(func(name, c any) bool {
		host, listed := ix.Lookup(name.(string))
		if !listed {
			m.hosts.Delete(name)
			return true
		}
		h := c.(*hostCounts)
		h.mu.Lock()
		defer h.mu.Unlock()
		for pair := range h.pairs {
			if !hasPair(host, pair) {
				delete(h.pairs, pair)
			}
		}
		return true
	})
}

// refusalKind bounds the label.
func refusalKind(kind string) string {
	switch kind {
	case "dns_timeout", "dns_error", "destination_unavailable", "destination_ip_unroutable", "connection_refused",
		"connection_terminated", "connection_timeout", "connection_write_timeout", "tls_protocol_error", "tls_certificate_error", "tls_alert_received",
		"http_request_error", "http_request_denied", "http_response_timeout", "http_protocol_error",
		"proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected":
		return kind
	}
	return "other"
}
