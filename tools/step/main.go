// Step runs one step of the Makefile quietly: a step that passes is one line,
// with what it did and how long it took; a step that fails shows what it said.
//
//	step [-tests] [-logs DIR] NAME COMMAND [ARG...]
//	step [-logs DIR] -total
//
// With -tests the command is a `go test -json`: its tests are counted, and those
// that were skipped are named with their reason, since a skipped test has shown
// nothing. Each step leaves its counts in DIR; -total adds them up in the closing
// line, "312 passed, 0 failed, 0 skipped".
//
// The exit status is the command's own, and never 0 when a test failed, ended
// without a verdict, or when not one test ran.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	logs := flag.String("logs", "build/steps", "the `directory` that takes the full output and the counts of each step")
	tests := flag.Bool("tests", false, "the command is a go test -json")
	total := flag.Bool("total", false, "print the sum of all steps and stop")
	flag.Parse()

	if *total {
		os.Exit(printTotal(os.Stdout, *logs))
	}
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "step: give a name and a command")
		os.Exit(2)
	}
	s := step{name: flag.Arg(0), command: flag.Args()[1:], tests: *tests, logs: *logs}
	code, err := s.run(os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "step: %s: %v\n", s.name, err)
		os.Exit(1)
	}
	os.Exit(code)
}

type step struct {
	name    string
	command []string
	tests   bool
	logs    string
}

// run runs the command and reports to w in one piece, so that steps side by side
// do not mix their lines. It returns the exit status for the step.
func (s *step) run(w io.Writer) (int, error) {
	if err := os.MkdirAll(s.logs, 0o755); err != nil {
		return 0, err
	}
	start := time.Now()
	code, log, err := s.execute()
	if err != nil {
		return 0, err
	}
	took := time.Since(start)

	var res result
	if s.tests {
		res = readTests(bytes.NewReader(log))
	} else {
		res = result{said: string(log)}
		if code == 0 {
			res.summary = lastLine(log)
		}
	}
	if code == 0 {
		code = res.judge()
	}
	if code != 0 && res.failed == 0 {
		res.failed = 1 // the step itself: nothing that failed may be counted as 0 failed
	}
	var out bytes.Buffer
	res.print(&out, s.name, code, took)
	if _, err := w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return code, res.save(s.logs, s.name)
}

// execute runs the command with its output in a file. With a pipe, a daemon that
// a test forgot would hold the pipe open, and Wait would never return.
func (s *step) execute() (code int, log []byte, err error) {
	path := filepath.Join(s.logs, s.name+".log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	runErr := cmd.Run()
	if runErr != nil {
		code = 1
		if exit, ok := errors.AsType[*exec.ExitError](runErr); ok && exit.Exited() {
			code = exit.ExitCode()
		} else { // not found, or ended by a signal: the command itself could not say it
			fmt.Fprintf(f, "\n%s: %v\n", s.command[0], runErr)
		}
	}
	log, err = os.ReadFile(path)
	return code, log, err
}

// lastLine returns the last line that says something, as the summary of a step
// that is not a test: "0 issues."
func lastLine(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if len(last) > 60 {
		return ""
	}
	return last
}
