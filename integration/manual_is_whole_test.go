package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Each command has a manual page with all its flags, and the configuration file has one
// with all its keys; man formats them without a warning.
func TestManualIsWhole(t *testing.T) {
	t.Parallel()
	rig.Need(t, "man", "groff")
	dir := t.TempDir()
	// The pages say what the sources say, and not what a binary was built of.
	run := exec.Command("go", "run", "-tags", "manual", "./cmd/certproxy", dir)
	run.Dir = ".."
	run.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help := func(words ...string) string {
		return rig.OK(t, rig.Command{Args: append(append([]string{rig.Binary(t)}, words...), "--help")})
	}
	read := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, "man", name)
		r := rig.Run(t, rig.Command{Args: []string{"man", "--warnings=w", "--local-file", path}, Env: []string{"MANWIDTH=78", "LC_ALL=C.UTF-8"}})
		if r.Exit != 0 || r.Stderr != "" {
			t.Errorf("%s: exit status %d, %s", name, r.Exit, r.Stderr)
		}
		if strings.Contains(r.Stdout, "1970") || !strings.Contains(r.Stdout, "Nov 2023") {
			t.Errorf("%s: it is not of the day of SOURCE_DATE_EPOCH", name)
		}
		return r.Stdout
	}

	pages, err := filepath.Glob(filepath.Join(dir, "man", "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".1")
		documented[name] = true
		text := read(name + ".1")
		words := strings.Split(name, "-")[1:]
		if len(words) == 0 || words[0] == "completion" {
			continue
		}
		for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(help(words...), -1) {
			if !strings.Contains(text, "--"+flag[1]) {
				t.Errorf("%s(1) has no --%s", name, flag[1])
			}
		}
	}
	for _, form := range regexp.MustCompile(`(?m)^    certproxy ([a-z]+)`).FindAllStringSubmatch(help(), -1) {
		if !documented["certproxy-"+form[1]] {
			t.Errorf("there is no certproxy-%s(1)", form[1])
		}
	}
	if documented["certproxy-exec-guardian"] {
		t.Error("what is for certproxy alone has a page")
	}

	settings := strings.ReplaceAll(read("certproxy.yaml.5"), "\u2010\n", "")
	chapter := string(rig.Read(t, "../docs/configuration.md"))
	for _, key := range regexp.MustCompile("(?m)^### `(.*)`$").FindAllStringSubmatch(chapter, -1) {
		if !regexp.MustCompile(`(?m)^ {0,3}` + key[1] + `$`).MatchString(settings) {
			t.Errorf("certproxy.yaml(5) has no part on %s", key[1])
		}
	}
	if strings.Contains(settings, "](") || strings.Contains(settings, "```") || strings.Contains(settings, "|") {
		t.Errorf("certproxy.yaml(5) has Markdown in it:\n%s", settings)
	}
}
