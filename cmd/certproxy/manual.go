//go:build manual

// With the tag manual, main writes what packages show of the commands: manual pages
// and shell completions. It is not in the product, whose users need no troff writer.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	if err := writeManual(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "manual: %v\n", err)
		os.Exit(1)
	}
}

// writeManual writes DIR/man/*.1, DIR/man/certproxy.yaml.5 and the completions of each shell, by the names under
// which it looks for them, to DIR/bash, DIR/zsh and DIR/fish.
func writeManual(args []string) error {
	if len(args) != 1 {
		return errors.New("give one argument, the directory to write to")
	}
	root := newRoot()
	root.InitDefaultCompletionCmd()
	if err := writePages(root, filepath.Join(args[0], "man")); err != nil {
		return err
	}
	if err := writeSettingsPage(filepath.Join(args[0], "man")); err != nil {
		return err
	}
	for _, shell := range []struct {
		file  string
		write func(file string) error
	}{
		{"bash/certproxy", func(file string) error { return root.GenBashCompletionFileV2(file, true) }},
		{"zsh/_certproxy", root.GenZshCompletionFile},
		{"fish/certproxy.fish", func(file string) error { return root.GenFishCompletionFile(file, true) }},
	} {
		file := filepath.Join(args[0], shell.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := shell.write(file); err != nil {
			return err
		}
	}
	return nil
}

func writePages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// What --help prints, as it is: its columns mean something.
	about, forms, _ := strings.Cut(usage, "Usage:\n")
	root.Long = about + "```\n" + forms + "```\n\n**certproxy.yaml(5)** has every setting.\n"
	asMarkdown(root)
	date := pageDate()
	return doc.GenManTree(root, &doc.GenManHeader{Source: "certproxy " + buildVersion(), Manual: "certproxy", Date: &date}, dir)
}

// pageDate is SOURCE_DATE_EPOCH, if set, so that a build gives the same bytes each time.
func pageDate() time.Time {
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Now()
}

// asMarkdown makes Markdown of texts that were written for a terminal.
func asMarkdown(cmd *cobra.Command) {
	// No section that says which library wrote the page, and on which day.
	cmd.DisableAutoGenTag = true
	cmd.InitDefaultHelpFlag()
	if cmd.HasParent() {
		cmd.Long = strings.ReplaceAll(cmd.Long, "<", `\<`)
	}
	for _, sub := range cmd.Commands() {
		asMarkdown(sub)
	}
}
