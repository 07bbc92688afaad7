//go:build manual

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"

	"github.com/certproxy/certproxy/internal/config"
)

// settingsSource describes the configuration file. internal/config holds it to the table
// of keys that the help and the flags are made of.
const settingsSource = "docs/configuration.md"

// writeSettingsPage writes certproxy.yaml(5) to dir.
func writeSettingsPage(dir string) error {
	text, err := os.ReadFile(settingsSource)
	if err != nil {
		return fmt.Errorf("%w; run this at the top of the repository", err)
	}
	page, err := settingsPage(text)
	if err != nil {
		return fmt.Errorf("%s: %w", settingsSource, err)
	}
	return os.WriteFile(filepath.Join(dir, "certproxy.yaml.5"), page, 0o644)
}

// settingsPage makes a manual page of the chapter on settings.
func settingsPage(chapter []byte) ([]byte, error) {
	for _, k := range config.Keys() {
		if !bytes.Contains(chapter, fmt.Appendf(nil, "\n### `%s`\n", k.Name)) {
			return nil, fmt.Errorf("the key %s is missing", k.Name)
		}
	}
	_, text, found := strings.Cut(string(chapter), "# Configuration\n")
	if !found {
		return nil, errors.New("it does not begin with # Configuration")
	}
	// A heading of the chapter is a section of the page, a key a part of one.
	text = regexp.MustCompile("(?m)^### `(.*)`$").ReplaceAllString(text, "## $1")
	text = regexp.MustCompile("(?m)^## [A-Z].*$").ReplaceAllStringFunc(text, func(heading string) string { return strings.ToUpper(heading[1:]) })
	// A terminal is narrower than a table.
	text = regexp.MustCompile(`(?m)^\|.*\|\n\|---.*\|\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`(?m)^\| (.*?) \| (.*) \|$`).ReplaceAllString(text, "- $1: $2")
	// What a key says of itself before its text is lines of their own.
	text = regexp.MustCompile("(?m)^(Default `.*)\n((?:Flag|In the file).*)$").ReplaceAllString(text, "$1 $2")
	// A link leads nowhere on paper.
	text = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(text, "$1")
	page := "# NAME\ncertproxy.yaml - settings of certproxy\n\n# SYNOPSIS\n`/etc/certproxy/config.yaml`\n\n# DESCRIPTION\n" + text +
		"\n# SEE ALSO\n**certproxy(1)**, **certproxy-serve(1)**\n"
	header := fmt.Sprintf("%% \"CERTPROXY.YAML\" \"5\" \"%s\" \"certproxy %s\" \"certproxy\"\n", pageDate().Format("Jan 2006"), buildVersion())
	return md2man.Render([]byte(header + page)), nil
}
