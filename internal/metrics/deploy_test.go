package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// names returns the metrics that exist, as they are written in a query.
func names(t *testing.T) map[string]string {
	t.Helper()
	r := newRig(t)
	r.list("registry.example", "a")
	r.list("empty.example")
	r.everything("registry.example:443")
	r.pki.Issue(throwaway.Options{Name: "x"}).WritePair(r.root+"/broken.example", "x")
	if err := os.Remove(r.root + "/broken.example/x.key"); err != nil {
		t.Fatal(err)
	}
	r.reload()
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{"up": ""}
	for _, f := range families {
		out[f.GetName()] = f.GetHelp()
		if f.GetType().String() == "HISTOGRAM" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				out[f.GetName()+suffix] = f.GetHelp()
			}
		}
	}
	return out
}

var metricName = regexp.MustCompile(`\b(certproxy|go|process)_[a-z_0-9]+\b`)

// used checks that every metric named in an expression exists.
func used(t *testing.T, where, expr string, exist map[string]string) {
	t.Helper()
	found := metricName.FindAllString(expr, -1)
	if len(found) == 0 && !strings.Contains(expr, "up{") {
		t.Errorf("%s: no metric in %q", where, expr)
	}
	for _, name := range found {
		if _, ok := exist[name]; !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
}

func TestAlertsAreAboutMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exist := names(t)
	rules := strings.Split(string(text), "- alert: ")[1:]
	if len(rules) < 9 {
		t.Errorf("%d rules", len(rules))
	}
	docs := doc(t)
	for _, rule := range rules {
		name, body, _ := strings.Cut(rule, "\n")
		_, body, _ = strings.Cut(body, "expr:")
		expr, _, _ := strings.Cut(body, "labels:")
		used(t, name, expr, exist)
		if !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("docs/monitoring.md does not tell of %s", name)
		}
	}
}

func TestDashboardIsAboutMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../deploy/grafana/certproxy.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title      string
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || len(board.Panels) < 12 || len(board.Templating.List) != 2 {
		t.Errorf("the dashboard %q has %d panels and %d variables", board.Title, len(board.Panels), len(board.Templating.List))
	}
	exist, ids := names(t), []int{}
	for _, p := range board.Panels {
		if slices.Contains(ids, p.ID) || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: no title, no query, an id that is taken, or beyond the grid", p.ID, p.Title)
		}
		ids = append(ids, p.ID)
		for _, target := range p.Targets {
			used(t, p.Title, target.Expr, exist)
		}
	}
}

func doc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of docs/monitoring.md has every metric of ours, in the words of its help.
func TestDocumentationHasEveryMetric(t *testing.T) {
	docs := doc(t)
	seen := 0
	for name, help := range names(t) {
		if !strings.HasPrefix(name, "certproxy_") || regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) {
			continue
		}
		seen++
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\|.*\\| (.*) \\|$").FindStringSubmatch(docs)
		if row == nil || row[1] != help {
			t.Errorf("docs/monitoring.md has no row for %s with the text %q", name, help)
		}
	}
	if rows := regexp.MustCompile("(?m)^\\| `certproxy_").FindAllString(docs, -1); len(rows) != seen {
		t.Errorf("docs/monitoring.md tells of %d metrics; there are %d", len(rows), seen)
	}
}
