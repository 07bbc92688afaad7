// Package metrics counts what a proxy does: for Prometheus, and for the status page.
//
// It is told of each event by [proxy.Config]'s functions, and asks for what is open,
// listed or about to expire when it is scraped. How many series there are depends on
// the directories under certs.d alone: a host without one is never a label, a host or
// pair that is gone takes its series along, and every other label has a fixed set of
// words.
package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/proxy"
)

// Config is where the metrics get what they do not count. All fields are required.
type Config struct {
	Index      func() *certs.Index // the one in use
	Stats      func() proxy.Stats
	CANotAfter time.Time
	Version    string
}

// Metrics count. They are safe for concurrent use.
type Metrics struct {
	config   Config
	registry *prometheus.Registry

	hosts    sync.Map   // of *hostCounts, by canonical name:port
	unlisted hostCounts // of all hosts without a directory, and of what named no host
	totals   totals

	received, sent        *prometheus.CounterVec
	refusals              *prometheus.CounterVec
	tunnels, handshakes   *prometheus.CounterVec
	requestTook           prometheus.Histogram
	attemptTook           prometheus.Histogram
	handshakeTook         *prometheus.HistogramVec
	reloads, failures     *prometheus.CounterVec
	lastOK, lastSucceeded *prometheus.GaugeVec
}

// totals are counted since the start, over all hosts, those that are gone among them.
type totals struct {
	requests, refused, attempts, tunnels atomic.Uint64
	bytesIn, bytesOut                    atomic.Uint64
}

// Totals are what was counted since the start.
type Totals struct {
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"` // of them, those answered by certproxy itself
	Attempts uint64 `json:"attempts"`
	Tunnels  uint64 `json:"tunnels"`   // that have ended
	BytesIn  uint64 `json:"bytes_in"`  // from clients
	BytesOut uint64 `json:"bytes_out"` // to clients
}

// New returns metrics with a registry of their own.
func New(config Config) *Metrics {
	m := &Metrics{config: config, registry: prometheus.NewRegistry()}
	m.received = counter("received_bytes_total", "Bytes received from clients: bodies of requests, or all that a tunnel carried. Counted at the end of each.", "way")
	m.sent = counter("sent_bytes_total", "Bytes sent to clients, likewise.", "way")
	m.refusals = counter("refusals_total", "Requests answered by certproxy itself, by the proxy error type of RFC 9209 section 2.3.", "kind")
	m.tunnels = counter("tunnels_total", "Tunnels that have ended: closed by their ends, or broken.", "ending")
	m.handshakes = counter("handshakes_total", "TLS handshakes with clients and with hosts, by what they came to.", "leg", "outcome")
	m.requestTook = histogram("request_duration_seconds", "Time from a request's header to the end of its answer.")
	m.attemptTook = histogram("attempt_duration_seconds", "Time from the beginning of an attempt to the header of the host's answer, a new connection and the sending of a body included.")
	m.handshakeTook = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "certproxy_handshake_duration_seconds", Help: "Duration of TLS handshakes that succeeded.", Buckets: buckets(),
	}, []string{"leg"})
	m.reloads = counter("reloads_total", "Times that certs.d or the configuration was read again and taken over.", "of")
	m.failures = counter("reload_failures_total", "Times that certs.d or the configuration could not be read again. What was in use stays.", "of")
	m.lastOK = gauge("reload_last_success_timestamp_seconds", "When certs.d or the configuration was last read without a mistake.", "of")
	m.lastSucceeded = gauge("reload_last_successful", "Whether the last reading of certs.d or the configuration succeeded.", "of")

	build := gauge("build_info", "The version of certproxy and of Go. The value is always 1.", "version", "goversion")
	build.WithLabelValues(config.Version, runtime.Version()).Set(1)
	m.registry.MustRegister(build, m.received, m.sent, m.refusals, m.tunnels, m.handshakes, m.requestTook, m.attemptTook, m.handshakeTook,
		m.reloads, m.failures, m.lastOK, m.lastSucceeded, newState(m),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin makes the series that must be there before anything has happened, so that a
// rate over them is 0 and not unknown.
func (m *Metrics) begin() {
	for _, way := range []string{"request", "tunnel"} {
		m.received.WithLabelValues(way)
		m.sent.WithLabelValues(way)
	}
	for _, ending := range []string{"closed", "broken"} {
		m.tunnels.WithLabelValues(ending)
	}
	for _, leg := range []proxy.Leg{proxy.ToClient, proxy.ToHost} {
		m.handshakeTook.WithLabelValues(string(leg))
		for _, outcome := range proxy.HandshakeOutcomes() {
			m.handshakes.WithLabelValues(string(leg), outcome)
		}
	}
	for _, of := range []Source{Certs, Configuration} {
		m.failures.WithLabelValues(string(of))
		m.reloads.WithLabelValues(string(of))
		m.lastOK.WithLabelValues(string(of)).SetToCurrentTime() // it was read at the start
		m.lastSucceeded.WithLabelValues(string(of)).Set(1)
	}
}

// Handler serves the metrics in Prometheus' text format, or OpenMetrics if asked.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError,
	})
}

// Gatherer gives the metrics to tests and to other formats.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Totals returns what was counted since the start.
func (m *Metrics) Totals() Totals {
	t := &m.totals
	return Totals{Requests: t.requests.Load(), Refused: t.refused.Load(), Attempts: t.attempts.Load(), Tunnels: t.tunnels.Load(),
		BytesIn: t.bytesIn.Load(), BytesOut: t.bytesOut.Load()}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "certproxy_" + name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "certproxy_" + name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "certproxy_" + name, Help: help, Buckets: buckets()})
}

// buckets go from a handshake on the same machine to an upload that takes minutes.
func buckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
}
