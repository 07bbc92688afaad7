package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Options say how much to measure. None has a default.
type Options struct {
	Subjects []string // by name; nil is all
	Rounds   int
	Time     time.Duration // of each sample under load
	Blob     int64         // bytes of a large body
	Clients  int           // at once, under load
	Idle     int           // connections that wait
}

// A Sample is what one workload showed of one subject in one round.
type Sample struct {
	Workload, Subject string
	Round             int

	Rate      float64 // bytes or requests in a second
	P50, P99  float64 // seconds that a request took
	Processor float64 // seconds of the proxy for one byte or request
	Peak      float64 // bytes of memory, at most
	Before    float64 // bytes of memory with one connection
	Each      float64 // bytes of memory for each further connection
}

// Measure takes all samples, each in a subtest of its own: one that fails is missing
// from the result, and the others are not.
func Measure(t *testing.T, o Options) *Result {
	t.Helper()
	rig.Need(t, "nginx")
	r := &Result{Machine: machine(t)}
	subjects := chosen(t, o, r)
	work := workloads(o)
	origin := startOrigin(t, o.Blob)
	shuffle := rand.New(rand.NewPCG(1, 2))
	for _, w := range work {
		r.workloads = append(r.workloads, w)
		for round := range o.Rounds {
			shuffle.Shuffle(len(subjects), func(i, j int) { subjects[i], subjects[j] = subjects[j], subjects[i] })
			for _, s := range subjects {
				if !w.fits(s) {
					continue
				}
				t.Run(fmt.Sprintf("%s-%s-%d", w.name, s.name, round+1), func(t *testing.T) {
					sample := w.run(t, origin, s.start(t, origin))
					sample.Workload, sample.Subject, sample.Round = w.name, s.name, round
					r.Samples = append(r.Samples, sample)
					t.Log(w.line(sample))
				})
			}
		}
	}
	return r
}

// chosen returns those of the subjects that were asked for and can run here, and
// notes in the result which these are.
func chosen(t *testing.T, o Options, r *Result) []subject {
	t.Helper()
	all := subjects(t)
	for _, name := range o.Subjects {
		if !slices.ContainsFunc(all, func(s subject) bool { return s.name == name }) {
			t.Fatalf("there is no subject %q", name)
		}
	}
	var found []subject
	for _, s := range all {
		if o.Subjects != nil && !slices.Contains(o.Subjects, s.name) {
			continue
		}
		if s.missing != "" {
			note := fmt.Sprintf("%s is not measured, for it needs: %s", s.name, s.missing)
			t.Log("SKIPPED: " + note)
			r.Notes = append(r.Notes, note)
			continue
		}
		found = append(found, s)
		r.subjects = append(r.subjects, s.name)
		if s.version != nil {
			r.Notes = append(r.Notes, firstLine(t, s.version))
		}
	}
	return found
}
