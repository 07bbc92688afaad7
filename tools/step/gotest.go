package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is one line of `go test -json`: see `go doc cmd/test2json` and, for
// ImportPath, `go help buildjson`.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

// A unit is one test, or one package (Test is empty), with what it said.
type unit struct {
	pkg, test string
	verdict   string // pass, fail, skip; empty: it never ended
	output    strings.Builder
	children  int
	failed    int // children that failed
}

// readTests turns the output of `go test -json` into counts and, for what went
// wrong, text. Lines that are no events, such as what the go command itself
// complains about, are kept as they are.
func readTests(r io.Reader) result {
	var plain strings.Builder
	builds := make(map[string]*strings.Builder)
	units := make(map[[2]string]*unit)
	var order []*unit

	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
			plain.WriteString(line)
		} else if e.ImportPath != "" {
			if builds[e.ImportPath] == nil {
				builds[e.ImportPath] = new(strings.Builder)
			}
			builds[e.ImportPath].WriteString(e.Output)
		} else {
			key := [2]string{e.Package, e.Test}
			u := units[key]
			if u == nil {
				u = &unit{pkg: e.Package, test: e.Test}
				units[key] = u
				order = append(order, u)
			}
			switch e.Action {
			case "output":
				u.output.WriteString(e.Output)
			case "pass", "fail", "skip":
				u.verdict = e.Action
			}
		}
		if err != nil {
			break
		}
	}
	countChildren(units)
	return summarize(order, builds, plain.String())
}

// countChildren tells each test of its subtests, so that a table of 40 cases is
// 40 tests and not 41.
func countChildren(units map[[2]string]*unit) {
	for _, u := range units {
		for name := u.test; strings.Contains(name, "/"); {
			name = name[:strings.LastIndex(name, "/")]
			if parent := units[[2]string{u.pkg, name}]; parent != nil {
				parent.children++
				if u.bad() {
					parent.failed++
				}
			}
		}
	}
}

func (u *unit) bad() bool { return u.verdict != "pass" && u.verdict != "skip" }

func summarize(order []*unit, builds map[string]*strings.Builder, plain string) result {
	res := result{tests: true}
	var said strings.Builder
	said.WriteString(plain)

	failedIn := make(map[string]int)
	for _, u := range order {
		if u.test == "" {
			continue
		}
		switch {
		case u.bad():
			said.WriteString(u.output.String())
			if u.verdict == "" {
				fmt.Fprintf(&said, "%s %s: no verdict\n", u.pkg, u.test)
			}
			failedIn[u.pkg]++
			if u.failed == 0 {
				res.failed++
			}
		case u.verdict == "skip":
			res.skipped++
			res.skips = append(res.skips, fmt.Sprintf("%s %s: %s", u.pkg, u.test, reason(u.output.String())))
		case u.children == 0:
			res.passed++
		}
	}
	packages := 0
	for _, u := range order {
		if u.test != "" {
			continue
		}
		if u.verdict != "skip" { // skip: it has no test files
			packages++
		}
		if !u.bad() {
			continue
		}
		said.WriteString(u.output.String())
		if failedIn[u.pkg] == 0 { // it did not build, or its TestMain failed
			res.failed++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(builds)) {
		said.WriteString(builds[path].String())
	}
	res.said = said.String()
	res.summary = plural(res.passed+res.failed+res.skipped, "test") + " in " + plural(packages, "package")
	return res
}

// reason returns what a skipped test said, without the frame that go test puts
// around it.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
