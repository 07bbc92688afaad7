package rig

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A Step is a fenced block of a page of docs/ that its reader is to run.
type Step struct {
	Where  string // file:line
	Script string
	Fails  bool   // it is there to show a failure
	Shows  string // what the page says it prints, or part of that; see [Step.Said]
}

// Steps returns the blocks of a page that are marked to be run: "```sh run", or "```sh
// fails" where the page shows what goes wrong. A block "```text" right behind one is what
// it prints. The marks are no part of what a reader sees.
func Steps(t testing.TB, page string) []Step {
	t.Helper()
	text := string(Read(t, page))
	block := regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")
	var steps []Step
	end := 0 // of the step before
	for _, m := range block.FindAllStringSubmatchIndex(text, -1) {
		kind, body := text[m[2]:m[3]], text[m[4]:m[5]]
		line := 1 + strings.Count(text[:m[0]], "\n")
		where := func() string { return fmt.Sprintf("%s:%d", filepath.Base(page), line) }
		switch {
		case kind == "console run":
			for said := range strings.Lines(body) {
				line++
				if script, isStep := strings.CutPrefix(said, "$ "); isStep {
					steps = append(steps, Step{Where: where(), Script: script})
				} else if last := len(steps) - 1; last >= 0 {
					steps[last].Shows += said
				}
			}
		case kind == "sh run", kind == "sh fails":
			steps = append(steps, Step{Where: where(), Script: body, Fails: kind == "sh fails"})
			end = m[1]
		case kind == "text" && len(steps) > 0 && strings.TrimSpace(text[end:m[0]]) == "":
			steps[len(steps)-1].Shows = body
		}
	}
	if len(steps) == 0 {
		t.Fatalf("%s has no block that is marked to be run", page)
	}
	return steps
}

// Said says whether an output has what the page shows: its lines, in their order, where
// "..." stands for anything, within a line or for lines.
func (s Step) Said(output string) bool {
	var pattern strings.Builder
	pattern.WriteString("(?s)")
	for line := range strings.Lines(s.Shows) {
		line = strings.TrimSpace(line)
		if line == "..." {
			pattern.WriteString(".*")
			continue
		}
		for i, part := range strings.Split(line, "...") {
			if i > 0 {
				pattern.WriteString("[^\n]*")
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString(`\s+`)
	}
	return regexp.MustCompile(pattern.String()).MatchString(output + "\n")
}

// Follow runs steps on the machine, word for word, as a command that ends with
// its arguments, such as env HOME=/root, and in that directory. It fails the test at the first that does not do what the page says.
func (m *Machine) Follow(t testing.TB, steps []Step, as ...string) {
	t.Helper()
	for _, step := range steps {
		r := m.Run(t, append(as[:len(as):len(as)], "sh", "-euc", "cd\n"+step.Script)...)
		output := r.Stdout + r.Stderr
		switch {
		case (r.Exit != 0) != step.Fails:
			t.Fatalf("%s: exit status %d\n%s", step.Where, r.Exit, output)
		case !step.Said(output):
			t.Fatalf("%s: it printed\n%s\nand the page says\n%s", step.Where, output, step.Shows)
		}
	}
}
