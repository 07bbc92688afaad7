package rig

import "testing"

func TestStepsAreWhatAPageSays(t *testing.T) {
	page := Write(t, Dir(t), "page.md", []byte("# Page\n\n```sh run\ntrue\n```\n\n```text\none\n...\nthree ... five\n```\n\nWithout:\n\n```sh fails\nfalse\n```\n\n"+
		"```console run\n$ echo a # comment\na\n$ true\n```\n\n"+
		"Not its output:\n\n```text\ntwo\n```\n\n```sh\nnever\n```\n"), 0o644)
	steps := Steps(t, page)
	if len(steps) == 4 {
		if steps[2].Script != "echo a # comment\n" || steps[2].Shows != "a\n" || steps[2].Where != "page.md:20" || steps[3].Script != "true\n" || steps[3].Shows != "" {
			t.Errorf("%+v", steps[2:])
		}
		steps = steps[:2]
	}
	if len(steps) != 2 || steps[0].Script != "true\n" || steps[0].Fails || steps[1].Script != "false\n" || !steps[1].Fails || steps[1].Shows != "" || steps[1].Where != "page.md:15" {
		t.Fatalf("%+v", steps)
	}
	for output, want := range map[string]bool{
		"one\ntwo\nthree four five\n":         true,
		"zero\none\nthree five":               false,
		"one\nthree and four five\nsix\n":     true,
		"three four five\none\n":              false,
		"one\n":                               false,
		"one\nthree four\nfive\n":             false,
		"":                                    false,
		"one\ntwo\n  three 3 4 five  \nseven": true,
	} {
		if got := steps[0].Said(output); got != want {
			t.Errorf("%q: %v", output, got)
		}
	}
	if !steps[1].Said("whatever") {
		t.Error("a page that shows nothing is not fine with everything")
	}
}
