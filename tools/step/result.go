package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A result is what a step has to tell.
type result struct {
	tests                   bool
	passed, failed, skipped int
	skips                   []string
	summary                 string
	said                    string // shown when the step failed
}

// judge returns the exit status of a step whose command ended with 0: the
// command's word alone is not taken.
func (r *result) judge() int {
	switch {
	case r.failed > 0:
		r.said += "step: the command ended with 0 although something failed\n"
		return 1
	case r.tests && r.passed+r.skipped == 0:
		r.said += "step: not one test ran\n"
		return 1
	}
	return 0
}

func (r *result) print(w io.Writer, name string, code int, took time.Duration) {
	verdict := "ok"
	if code != 0 {
		verdict = "FAIL"
	}
	fmt.Fprintf(w, "%-12s %-4s  %-40s %6.1fs\n", name, verdict, r.summary, took.Seconds())
	for _, s := range r.skips {
		fmt.Fprintf(w, "%-12s SKIPPED  %s\n", "", s)
	}
	if code != 0 {
		fmt.Fprintf(w, "\n%s\n\n", strings.TrimSpace(r.said))
	}
}

// counts is what a step leaves behind for the closing line.
type counts struct{ Passed, Failed, Skipped int }

func (r *result) save(dir, name string) error {
	data, err := json.Marshal(counts{r.passed, r.failed, r.skipped})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), data, 0o644)
}

// printTotal writes the closing line, alone on its line, and returns the exit
// status.
func printTotal(w io.Writer, dir string) int {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		fmt.Fprintf(os.Stderr, "step: no step has left its counts in %s\n", dir)
		return 1
	}
	var sum counts
	var failed []string
	for _, path := range paths {
		var c counts
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "step: %s: %v\n", path, err)
			return 1
		}
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
		if c.Failed > 0 {
			failed = append(failed, strings.TrimSuffix(filepath.Base(path), ".json"))
		}
	}
	if len(failed) > 0 {
		fmt.Fprintf(w, "failed: %s\n", strings.Join(failed, ", "))
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", sum.Passed, sum.Failed, sum.Skipped)
	if sum.Failed > 0 {
		return 1
	}
	return 0
}
