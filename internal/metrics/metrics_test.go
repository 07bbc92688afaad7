package metrics

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
	"github.com/certproxy/certproxy/proxy"
)

// A rig has metrics over a certs.d tree on disk.
type rig struct {
	t     testing.TB
	root  string
	store *certs.Store
	pki   *throwaway.Certificate
	*Metrics
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "certs.d"), pki: throwaway.NewCA("pki")}
	r.store = certs.NewStore([]certs.Root{certs.Dir(r.root)}, nil)
	r.Metrics = New(Config{
		Index: r.store.Index, CANotAfter: time.Unix(4e9, 0), Version: "v1.2.3",
		Stats: func() proxy.Stats {
			return proxy.Stats{Clients: 5, Tunnels: 1, Requests: 2, UpstreamActive: 3, UpstreamIdle: 4}
		},
	})
	return r
}

func (r *rig) list(host string, pairs ...string) {
	r.t.Helper()
	r.pki.WriteRoot(filepath.Join(r.root, host), "ca")
	for _, p := range pairs {
		r.pki.Issue(throwaway.Options{Name: strings.ToValidUTF8(p, "?"), NotAfter: time.Unix(3e9, 0)}).WritePair(filepath.Join(r.root, host), p)
	}
	r.reload()
}

func (r *rig) reload() {
	r.store.Reload(nil)
	r.Reloaded(Certs, nil)
}

// everything makes each kind of series.
func (r *rig) everything(host string) {
	for _, e := range []proxy.Ending{proxy.Served, proxy.Refused, proxy.Canceled, proxy.Broken} {
		for status := range 6 {
			r.RequestEnded(proxy.RequestEnd{Host: host, Status: status * 100, Ending: e, Refusal: "connection_refused", Duration: time.Millisecond, BytesIn: 3, BytesOut: 4})
		}
	}
	for _, pair := range []string{"a", "b", ""} {
		for _, v := range proxy.AttemptVerdicts() {
			r.Attempted(proxy.Attempt{Host: host, Pair: pair, Verdict: v, Outcome: "200", Duration: time.Millisecond})
		}
	}
	r.TunnelEnded(proxy.TunnelEnd{Host: host, BytesIn: 30, BytesOut: 40})
	r.HandshakeEnded(proxy.HandshakeEnd{Leg: proxy.ToHost, Host: host, Outcome: "ok", Duration: time.Millisecond})
}

func (r *rig) series() int {
	r.t.Helper()
	n, err := testutil.GatherAndCount(r.Gatherer())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) scrape() string {
	r.t.Helper()
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		r.t.Fatalf("a scrape: %d %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func (r *rig) want(lines ...string) {
	r.t.Helper()
	text := r.scrape()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			r.t.Errorf("no line %q", line)
		}
	}
}

func TestEventsAreCounted(t *testing.T) {
	r := newRig(t)
	r.list("registry.example:5000", "a", "b")
	r.RequestEnded(proxy.RequestEnd{Host: "registry.example:5000", Status: 201, Ending: proxy.Served, BytesIn: 7, BytesOut: 11, Duration: 20 * time.Millisecond})
	r.RequestEnded(proxy.RequestEnd{Host: "registry.example:5000", Status: 502, Ending: proxy.Refused, Refusal: "tls_alert_received"})
	r.RequestEnded(proxy.RequestEnd{Host: "registry.example:5000", Ending: proxy.Canceled})
	r.RequestEnded(proxy.RequestEnd{Status: 400, Ending: proxy.Refused, Refusal: "what is this"})
	r.Attempted(proxy.Attempt{Host: "registry.example:5000", Pair: "a", Verdict: "not asked", Outcome: "403"})
	r.Attempted(proxy.Attempt{Host: "registry.example:5000", Pair: "b", Verdict: "accepted", Outcome: "201", Duration: 2 * time.Second})
	r.Attempted(proxy.Attempt{Host: "elsewhere:80", Verdict: "failed"})
	r.TunnelEnded(proxy.TunnelEnd{Host: "elsewhere:443", BytesIn: 100, BytesOut: 200})
	r.TunnelEnded(proxy.TunnelEnd{Host: "elsewhere:443", Broken: "connection reset"})
	r.HandshakeEnded(proxy.HandshakeEnd{Leg: proxy.ToHost, Outcome: "untrusted"})
	r.Reloaded(Configuration, fmt.Errorf("line 3"))
	r.want(
		`certproxy_requests_total{code="2xx",ending="served",host="registry.example:5000"} 1`,
		`certproxy_requests_total{code="5xx",ending="refused",host="registry.example:5000"} 1`,
		`certproxy_requests_total{code="none",ending="canceled",host="registry.example:5000"} 1`,
		`certproxy_requests_total{code="4xx",ending="refused",host="unlisted"} 1`,
		`certproxy_refusals_total{kind="tls_alert_received"} 1`,
		`certproxy_refusals_total{kind="other"} 1`,
		`certproxy_attempts_total{host="registry.example:5000",outcome="not_asked",pair="a"} 1`,
		`certproxy_attempts_total{host="registry.example:5000",outcome="accepted",pair="b"} 1`,
		`certproxy_attempts_total{host="unlisted",outcome="failed",pair=""} 1`,
		`certproxy_tunnels_total{ending="closed"} 1`,
		`certproxy_tunnels_total{ending="broken"} 1`,
		`certproxy_received_bytes_total{way="request"} 7`,
		`certproxy_received_bytes_total{way="tunnel"} 100`,
		`certproxy_sent_bytes_total{way="request"} 11`,
		`certproxy_sent_bytes_total{way="tunnel"} 200`,
		`certproxy_handshakes_total{leg="upstream",outcome="untrusted"} 1`,
		`certproxy_request_duration_seconds_count 4`,
		`certproxy_attempt_duration_seconds_bucket{le="2.5"} 3`,
		`certproxy_attempt_duration_seconds_bucket{le="1"} 2`,
		`certproxy_connections{kind="client"} 5`,
		`certproxy_connections{kind="upstream_idle"} 4`,
		`certproxy_requests_in_flight 2`,
		`certproxy_reloads_total{of="certs"} 1`,
		`certproxy_reload_failures_total{of="config"} 1`,
		`certproxy_reload_last_successful{of="config"} 0`,
		`certproxy_reload_last_successful{of="certs"} 1`,
		`certproxy_pair_not_after_timestamp_seconds{host="registry.example:5000",pair="a"} 3e+09`,
		`certproxy_ca_not_after_timestamp_seconds 4e+09`,
		`certproxy_hosts{action="intercept"} 1`,
		`certproxy_pairs 2`,
	)
	if got := r.Totals(); got != (Totals{Requests: 4, Refused: 2, Attempts: 3, Tunnels: 2, BytesIn: 107, BytesOut: 211}) {
		t.Errorf("totals %+v", got)
	}
	if last := r.Last("registry.example:5000", "b"); last == nil || last.Outcome != "201" || last.Verdict != "accepted" || last.At.IsZero() {
		t.Errorf("the last attempt with b: %+v", last)
	}
	if r.Last("registry.example:5000", "c") != nil || r.Last("elsewhere:80", "") != nil {
		t.Error("a last attempt where none was, or of a host that is not listed")
	}
	if n := r.Requests("registry.example:5000"); n != 3 {
		t.Errorf("%d requests", n)
	}
}

func TestNamesFollowPrometheusConventions(t *testing.T) {
	r := newRig(t)
	r.list("registry.example", "a")
	r.everything("registry.example:443")
	problems, err := testutil.GatherAndLint(r.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// How many series there are is decided by certs.d, and by nobody who sends requests.
func TestClientsCannotMakeSeries(t *testing.T) {
	r := newRig(t)
	r.list("registry.example", "a", "b")
	r.everything("registry.example:443")
	r.everything("other.example:443")
	for _, kind := range strings.Fields("dns_timeout dns_error destination_unavailable destination_ip_unroutable connection_terminated connection_timeout tls_protocol_error tls_certificate_error tls_alert_received http_request_error http_request_denied http_response_timeout http_protocol_error proxy_internal_error proxy_configuration_error proxy_loop_detected x") {
		r.RequestEnded(proxy.RequestEnd{Ending: proxy.Refused, Refusal: kind})
	}
	r.TunnelEnded(proxy.TunnelEnd{Broken: "x"})
	before := r.series()
	for range 20_000 {
		host := fmt.Sprintf("h%d.example:%d", rand.Int(), rand.IntN(1<<16))
		r.RequestEnded(proxy.RequestEnd{Host: host, Method: host, Path: host, Status: rand.IntN(2000) - 500, Pair: host, Ending: proxy.Refused, Refusal: host})
		r.Attempted(proxy.Attempt{Host: host, Pair: "", Verdict: host, Outcome: host})
		r.TunnelEnded(proxy.TunnelEnd{Host: host, Broken: host})
	}
	if after := r.series(); after != before {
		t.Errorf("%d series after 20,000 hosts of clients, %d before", after, before)
	}
	if text := r.scrape(); strings.Contains(text, "h1") && strings.Contains(text, ".example:") && strings.Count(text, "example:") != strings.Count(text, "registry.example:443") {
		t.Error("a client's host is a label")
	}
}

func TestRemovedHostAndPairTakeTheirSeriesAlong(t *testing.T) {
	r := newRig(t)
	r.list("stays.example", "a", "b")
	before := r.series()
	r.list("goes.example", "a", "b")
	r.everything("goes.example:443")
	if err := os.RemoveAll(filepath.Join(r.root, "goes.example")); err != nil {
		t.Fatal(err)
	}
	r.store.Reload(nil) // a scrape may come before the metrics are told
	r.Attempted(proxy.Attempt{Host: "goes.example:443", Pair: "a", Verdict: "accepted"})
	if text := r.scrape(); strings.Contains(text, "goes.example") {
		t.Error("a host that is gone has series")
	}
	r.Reloaded(Certs, nil)
	if _, ok := r.hosts.Load("goes.example:443"); ok {
		t.Error("a host that is gone is kept")
	}
	if after := r.series(); after < before {
		t.Errorf("%d series, %d before", after, before)
	}
	r.everything("stays.example:443")
	for _, ext := range []string{".cert", ".key"} {
		if err := os.RemoveAll(filepath.Join(r.root, "stays.example", "b"+ext)); err != nil {
			t.Fatal(err)
		}
	}
	r.reload()
	if text := r.scrape(); strings.Contains(text, `pair="b"`) || !strings.Contains(text, `pair="a"`) {
		t.Error("want series of pair a alone")
	}
	if r.Last("stays.example:443", "b") != nil {
		t.Error("a pair that is gone has a last attempt")
	}
}

// Two files whose names are no text must not make one series: that spoils all.
func TestPairsWithOddNamesAreApart(t *testing.T) {
	r := newRig(t)
	r.list("registry.example", "a\xff", "a\xfe", "b\"\n")
	text := r.scrape()
	if n := strings.Count(text, "certproxy_pair_not_after_timestamp_seconds{"); n != 3 {
		t.Errorf("%d series of pairs; want 3", n)
	}
}

// Every kind of refusal that the proxy has is a word of the label.
func TestKindsOfRefusalsAreKnown(t *testing.T) {
	files, err := filepath.Glob("../../proxy/*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`\bkind\b[^"\n]*"([a-z_]+)"`)
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllSubmatch(text, -1) {
			seen[string(m[1])] = true
		}
	}
	if len(seen) < 17 {
		t.Errorf("only %d kinds are found in the source of proxy", len(seen))
	}
	for kind := range seen {
		if refusalKind(kind) != kind {
			t.Errorf("%s is counted as %s", kind, refusalKind(kind))
		}
	}
}

// BenchmarkScrape is what a scrape costs where 10,000 hosts all had traffic:
// docs/monitoring.md tells it.
func BenchmarkScrape(b *testing.B) {
	r := newRig(b)
	pair := r.pki.Issue(throwaway.Options{Name: "a", NotAfter: time.Unix(3e9, 0)})
	for i := range 10_000 {
		pair.WritePair(filepath.Join(r.root, fmt.Sprintf("registry-%d.example", i)), "client")
	}
	r.reload()
	for i := range 10_000 {
		host := fmt.Sprintf("registry-%d.example:443", i)
		r.RequestEnded(proxy.RequestEnd{Host: host, Status: 200, Ending: proxy.Served})
		r.RequestEnded(proxy.RequestEnd{Host: host, Status: 404, Ending: proxy.Served})
		r.Attempted(proxy.Attempt{Host: host, Pair: "client", Verdict: "accepted"})
	}
	size := 0
	for b.Loop() {
		size = len(r.scrape())
	}
	b.ReportMetric(float64(size), "bytes")
	b.ReportMetric(float64(r.series()), "series")
}

// BenchmarkEvents is what a request costs more for being counted.
func BenchmarkEvents(b *testing.B) {
	r := newRig(b)
	r.list("registry.example", "a")
	for b.Loop() {
		r.Attempted(proxy.Attempt{Host: "registry.example:443", Pair: "a", Verdict: "accepted", Outcome: "200", Duration: time.Millisecond})
		r.RequestEnded(proxy.RequestEnd{Host: "registry.example:443", Pair: "a", Status: 200, Ending: proxy.Served, Duration: time.Millisecond})
	}
}
