package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/certproxy/certproxy/internal/config"
)

// settingFlags are the flags of a command that set keys of the configuration, and the
// one that names its file.
type settingFlags struct {
	cmd  *cobra.Command
	file *string
	all  []*settingFlag
}

// A settingFlag collects what was said for one key.
type settingFlag struct {
	key    config.Key
	values []string
}

// addSettings adds --config and the flags of the keys named, or of all.
func addSettings(cmd *cobra.Command, names ...string) *settingFlags {
	f := &settingFlags{cmd: cmd}
	f.file = cmd.Flags().String("config", defaultConfig, "configuration file; one that is named must exist")
	for _, k := range config.Keys() {
		if k.Flag == "" || len(names) > 0 && !slices.Contains(names, k.Name) {
			continue
		}
		flag := &settingFlag{key: k}
		cmd.Flags().Var(flag, k.Flag, k.Help)
		f.all = append(f.all, flag)
	}
	return f
}

// Set implements pflag.Value. A value is looked at together with those of the other
// sources, so that all mistakes are told at once.
func (f *settingFlag) Set(text string) error {
	if f.key.List {
		f.values = append(f.values, text)
	} else {
		f.values = []string{text}
	}
	return nil
}

// String implements pflag.Value: the help shows it as the default.
func (f *settingFlag) String() string {
	switch f.key.Default {
	case "[]", `""`:
		return ""
	}
	return f.key.Default
}

// Type implements pflag.Value.
func (f *settingFlag) Type() string { return f.key.Type }

// sources returns where the configuration comes from: these flags, the environment, and
// the file that either of them names.
func (f *settingFlags) sources(environ []string) (sources, error) {
	s := sources{environ: environ, file: configFile{path: *f.file, optional: true, named: "--config"}}
	switch named := os.Getenv(config.ConfigVariable); {
	case f.cmd.Flags().Changed("config"):
		if *f.file == "" {
			return s, usageError{errors.New("--config is empty; name a file")}
		}
		s.file.optional = false
	case named != "":
		s.file = configFile{path: named, named: config.ConfigVariable}
	}
	for _, flag := range f.all {
		if f.cmd.Flags().Changed(flag.key.Flag) {
			s.flags = append(s.flags, config.ByFlag(flag.key, flag.values...))
		}
	}
	return s, nil
}

// preset is what a command says about a key by itself, as if by its flag. The key is one
// of the table.
func preset(name string, values ...string) config.Setting {
	keys := config.Keys()
	return config.ByFlag(keys[slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == name })], values...)
}

// groupHelp shows a command's flags below headings: there are too many for one list.
func (f *settingFlags) groupHelp() {
	f.cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b bytes.Buffer
		_, _ = fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
		if cmd.Example != "" {
			_, _ = fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
		}
		var groups []string
		sets := map[string]*pflag.FlagSet{}
		for _, flag := range f.all { // in the order of the table
			group := flag.key.Group
			if sets[group] == nil {
				sets[group] = pflag.NewFlagSet("", pflag.ContinueOnError)
				sets[group].SortFlags = false
				groups = append(groups, group)
			}
			sets[group].AddFlag(cmd.Flags().Lookup(flag.key.Flag))
		}
		rest := pflag.NewFlagSet("", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if _, ok := flag.Value.(*settingFlag); !ok {
				rest.AddFlag(flag)
			}
		})
		for _, group := range groups {
			_, _ = fmt.Fprintf(&b, "\n%s:\n%s", group, sets[group].FlagUsages())
		}
		_, _ = fmt.Fprintf(&b, "\nOther:\n%s", rest.FlagUsages())
		_, _ = fmt.Fprintf(&b, "\nEach flag but these last can also stand in the file, and in a variable: --allow-user\nas allow_users and CERTPROXY_ALLOW_USERS=a,b. Flags override variables, and those\nthe file. docs/configuration.md has them all.\n")
		_, err := io.WriteString(cmd.OutOrStderr(), strings.TrimRight(b.String(), "\n")+"\n")
		return err
	})
}
