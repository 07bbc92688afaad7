package bench

import (
	"fmt"
	"slices"
	"strings"
)

// A Result is all samples, with what is needed to judge them.
type Result struct {
	Machine string   // where and when
	Notes   []string // versions, and what is missing
	Samples []Sample

	subjects  []string // in the order of the tables
	workloads []workload
}

// A figure is one thing that a sample shows.
type figure struct {
	unit    string
	of      func(Sample) float64
	against string // it is also given as a ratio to this subject; "" is none
}

func transferFigures() []figure {
	const mb, gib, mib = 1e6, 1 << 30, 1 << 20
	return []figure{
		{"MB/s", func(s Sample) float64 { return s.Rate / mb }, reference},
		{"CPU s/GiB", func(s Sample) float64 { return s.Processor * gib }, ours},
		{"peak MiB", func(s Sample) float64 { return s.Peak / mib }, ""},
	}
}

func loadFigures(unit string) []figure {
	const us, mib = 1e6, 1 << 20
	return []figure{
		{unit + "s/s", func(s Sample) float64 { return s.Rate }, reference},
		{"CPU us/" + unit, func(s Sample) float64 { return s.Processor * us }, ours},
		{"p50 us", func(s Sample) float64 { return s.P50 * us }, ""},
		{"p99 us", func(s Sample) float64 { return s.P99 * us }, ""},
		{"peak MiB", func(s Sample) float64 { return s.Peak / mib }, ""},
	}
}

func idleFigures() []figure {
	const kib, mib = 1 << 10, 1 << 20
	return []figure{
		{"KiB/connection", func(s Sample) float64 { return s.Each / kib }, ours},
		{"MiB before", func(s Sample) float64 { return s.Before / mib }, ""},
	}
}

// value is the median of a figure over the rounds, 0 without a sample.
func (r *Result) value(w workload, subject string, f figure) float64 {
	var all []float64
	for _, s := range r.Samples {
		if s.Workload == w.name && s.Subject == subject {
			all = append(all, f.of(s))
		}
	}
	return median(all)
}

// ratio is the median of the ratios within each round to the subject that the
// figure is held against, 0 where there is none.
func (r *Result) ratio(w workload, subject string, f figure) float64 {
	base := map[int]float64{}
	for _, s := range r.Samples {
		if s.Workload == w.name && s.Subject == f.against {
			base[s.Round] = f.of(s)
		}
	}
	var all []float64
	for _, s := range r.Samples {
		if s.Workload == w.name && s.Subject == subject && base[s.Round] > 0 {
			all = append(all, f.of(s)/base[s.Round])
		}
	}
	return median(all)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// measured are the subjects of which there is a sample, in the order of the tables.
func (r *Result) measured(w workload) []string {
	var found []string
	for _, name := range r.subjects {
		if slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Workload == w.name && s.Subject == name }) {
			found = append(found, name)
		}
	}
	return found
}

// Markdown is the result as tables.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n%s.\n", r.Machine, strings.Join(r.Notes, "; "))
	for _, w := range r.workloads {
		fmt.Fprintf(&b, "\n| %s |", w.title)
		rule := "|---|"
		for _, f := range w.figures {
			fmt.Fprintf(&b, " %s |", f.unit)
			rule += "---|"
			if f.against != "" {
				fmt.Fprintf(&b, " x %s |", f.against)
				rule += "---|"
			}
		}
		fmt.Fprintf(&b, "\n%s\n", rule)
		for _, name := range r.measured(w) {
			fmt.Fprintf(&b, "| %s |", name)
			for _, f := range w.figures {
				fmt.Fprintf(&b, " %s |", number(r.value(w, name, f)))
				if f.against != "" {
					fmt.Fprintf(&b, " %s |", number(r.ratio(w, name, f)))
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// number is for people: three digits, and a dash for what there is not.
func number(x float64) string {
	switch {
	case x == 0:
		return "-"
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func byteSize(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
