package metrics

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certproxy/certproxy/certs"
)

// state collects what depends on the index in use, at the moment of a scrape: so a host
// or pair that is gone has no series from that moment on.
type state struct {
	m *Metrics

	requests, attempts       *prometheus.Desc
	hosts, pairs, problems   *prometheus.Desc
	pairNotAfter, caNotAfter *prometheus.Desc
	connections, inFlight    *prometheus.Desc
}

func newState(m *Metrics) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("certproxy_"+name, help, labels, nil)
	}
	return &state{
		m:            m,
		requests:     desc("requests_total", "Requests that have ended, by the class of the answer's status and by what became of them. host is unlisted for all hosts without a directory.", "host", "code", "ending"),
		attempts:     desc("attempts_total", "Requests sent to hosts, by the pair they were sent with and what its outcome means.", "host", "pair", "outcome"),
		hosts:        desc("hosts", "Host directories, by what they lead to.", "action"),
		pairs:        desc("pairs", "Pairs that can be used."),
		problems:     desc("problems", "Problems in certs.d: of severity error where something cannot be used, else warning.", "problem", "severity"),
		pairNotAfter: desc("pair_not_after_timestamp_seconds", "When the certificate of a pair expires.", "host", "pair"),
		caNotAfter:   desc("ca_not_after_timestamp_seconds", "When the certificate of the local CA expires."),
		connections:  desc("connections", "Connections that are open: of clients (those of tunnels among them), tunnels, and to hosts in use or idle.", "kind"),
		inFlight:     desc("requests_in_flight", "Requests that are being answered."),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.requests, s.attempts, s.hosts, s.pairs, s.problems, s.pairNotAfter, s.caNotAfter, s.connections, s.inFlight} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ix := s.m.config.Index()
	actions, pairs := map[certs.Action]int{}, 0
	s.counts(ch, Unlisted, &s.m.unlisted, nil)
	for _, h := range ix.Hosts() {
		actions[h.Action]++
		pairs += len(h.Pairs)
		for _, p := range h.Pairs {
			gauge(s.pairNotAfter, float64(p.Leaf().NotAfter.Unix()), h.Name, label(p.Name))
		}
		if c, ok := s.m.hosts.Load(h.Name); ok {
			s.counts(ch, h.Name, c.(*hostCounts), h)
		}
	}
	for _, a := range []certs.Action{certs.Intercept, certs.Tunnel, certs.Unusable} {
		gauge(s.hosts, float64(actions[a]), a.String())
	}
	gauge(s.pairs, float64(pairs))
	s.countProblems(ix, gauge)
	gauge(s.caNotAfter, float64(s.m.config.CANotAfter.Unix()))
	open := s.m.config.Stats()
	gauge(s.inFlight, float64(open.Requests))
	gauge(s.connections, float64(open.Clients), "client")
	gauge(s.connections, float64(open.Tunnels), "tunnel")
	gauge(s.connections, float64(open.UpstreamActive), "upstream_active")
	gauge(s.connections, float64(open.UpstreamIdle), "upstream_idle")
}

func (s *state) countProblems(ix *certs.Index, gauge func(*prometheus.Desc, float64, ...string)) {
	type key struct{ kind, severity string }
	n := map[key]int{}
	for _, p := range ix.Problems(time.Now()) {
		k := key{string(p.Kind), "error"}
		if p.Used {
			k.severity = "warning"
		}
		n[k]++
	}
	for k, count := range n {
		gauge(s.problems, float64(count), k.kind, k.severity)
	}
}

// counts collects what happened to a host; of a listed one, for the pairs it has now.
func (s *state) counts(ch chan<- prometheus.Metric, name string, c *hostCounts, host *certs.Host) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		if v > 0 {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
		}
	}
	for i, code := range codes() {
		for j, ending := range endings() {
			counter(s.requests, c.requests[i*endingWords+j].Load(), name, code, ending)
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for pair, p := range c.pairs {
		if host != nil && !hasPair(host, pair) {
			continue
		}
		for i, verdict := range verdicts() {
			counter(s.attempts, p.verdicts[i].Load(), name, label(pair), strings.ReplaceAll(verdict, " ", "_"))
		}
	}
}

// hasPair reports whether attempts with a pair are about the host as it is. The empty
// name is an attempt without a certificate.
func hasPair(h *certs.Host, pair string) bool {
	if pair == "" {
		return len(h.Pairs) == 0
	}
	return slices.ContainsFunc(h.Pairs, func(p *certs.Pair) bool { return p.Name == pair })
}

// label makes a pair's name fit for a label: that of a file need not be UTF-8. Two names
// must not become one, which would spoil the whole scrape.
func label(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
