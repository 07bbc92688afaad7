package integration

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/bench"
)

// What `make bench-compare` sets. By default it is little, and shows only that the
// comparison still works.
var compare = struct {
	subjects, out *string
	rounds        *int
	time          *time.Duration
	mib           *int64
	clients, idle *int
}{
	subjects: flag.String("compare.subjects", "direct,certproxy", "what to compare, by `name`; empty: all"),
	out:      flag.String("compare.out", "", "the `directory` that takes comparison.md and comparison.svg"),
	rounds:   flag.Int("compare.rounds", 1, "rounds"),
	time:     flag.Duration("compare.time", 20*time.Millisecond, "how long each sample under load takes"),
	mib:      flag.Int64("compare.mib", 1, "`MiB` of a large body"),
	clients:  flag.Int("compare.clients", 4, "clients at once"),
	idle:     flag.Int("compare.idle", 20, "idle connections"),
}

// The comparison with others is taken from real processes: every request of every
// workload is answered whole, and each has its row in the tables and its bars in the plot.
func TestComparisonIsTaken(t *testing.T) {
	options := bench.Options{
		Rounds: *compare.rounds, Time: *compare.time, Blob: *compare.mib << 20, Clients: *compare.clients, Idle: *compare.idle,
	}
	if *compare.subjects != "" {
		options.Subjects = strings.Split(*compare.subjects, ",")
	}
	if *compare.out == "" {
		t.Parallel() // nobody looks at the figures
	}
	result := bench.Measure(t, options)
	if t.Failed() {
		t.Error("samples are missing, so nothing was written")
		return
	}

	tables, plot := result.Markdown(), result.SVG()
	const workloads = 7
	if rows := strings.Count(tables, "\n| certproxy |"); rows != workloads {
		t.Errorf("%d rows of certproxy, want %d:\n%s", rows, workloads, tables)
	}
	if names := strings.Count(plot, ">certproxy</text>"); names != workloads {
		t.Errorf("%d places of certproxy in the plot, want %d:\n%s", names, workloads, plot)
	}
	for _, s := range result.Samples {
		if s.Rate == 0 && s.Before == 0 {
			t.Errorf("nothing was measured: %+v", s)
		}
	}
	if *compare.out == "" {
		return
	}
	for name, text := range map[string]string{"comparison.md": tables, "comparison.svg": plot} {
		if err := os.WriteFile(filepath.Join(*compare.out, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
