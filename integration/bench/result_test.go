package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// The medians of what both took are 3 and 3, but in most rounds one took twice as
// much as the other.
func TestRatiosAreTakenRoundByRound(t *testing.T) {
	r := invented()
	table := r.Markdown()
	for _, want := range []string{
		"| certproxy | 0.50 | - | 3.00 | 1.00 |",
		"| nginx | - | - | 3.00 | 2.00 |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in:\n%s", want, table)
		}
	}
}

// What is not measured has no row, and a subject that failed does not look quick.
func TestSubjectsWithoutASampleHaveNoRow(t *testing.T) {
	if table := invented().Markdown(); strings.Contains(table, "| squid |") {
		t.Errorf("squid has a row, and was not measured:\n%s", table)
	}
}

func TestPlotIsXMLWithABarForEachRatio(t *testing.T) {
	plot := invented().SVG()
	bars := 0
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" && strings.HasPrefix(start.Attr[0].Value, "bar") {
			bars++
		}
	}
	if bars != 2 {
		t.Errorf("%d bars, want 2: what certproxy and nginx took\n%s", bars, plot)
	}
}

func invented() *Result {
	w := workload{name: "get", title: `a <large> & "odd" one`, figures: transferFigures()[:2]}
	r := &Result{Machine: "here & now", Notes: []string{"nothing"}, subjects: []string{reference, ours, "nginx", "squid"}, workloads: []workload{w}}
	const gib = 1 << 30
	for round, took := range [][2]float64{{3, 6}, {1, 2}, {9, 3}} {
		r.Samples = append(r.Samples,
			Sample{Workload: "get", Subject: ours, Round: round, Rate: 5e5, Processor: took[0] / gib},
			Sample{Workload: "get", Subject: "nginx", Round: round, Processor: took[1] / gib},
		)
	}
	return r
}
