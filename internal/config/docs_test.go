package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

func TestTheDocumentationNamesEveryKeyAndNothingElse(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	// What it says about a key: its name, its default, where it may stand, what else sets it,
	// and when a change takes effect.
	documented := regexp.MustCompile("(?m)^### `(.*)`\n\nDefault `(.*)`\\. (.*)\\.\n(.*)$")
	var got []string
	for _, m := range documented.FindAllSubmatch(text, -1) {
		name, value, where := m[1], m[2], m[3]
		got = append(got, fmt.Sprintf("%s: %s. %s", name, where, m[4]))
		t.Run(string(name), func(t *testing.T) {
			format := "%s: %s\n"
			if string(where) == perHost {
				format = "hosts: {registry.example: {%s: %s}}"
			}
			c, err := Parse("config.yaml", fmt.Appendf(nil, format, name, value))
			if err != nil {
				t.Fatal(err)
			}
			if c.Host != Default().Host || c.For("registry.example:443") != Default().Host {
				t.Errorf("%s is not the default", value)
			}
			if c.Hosts = nil; !equal(*c, Default()) {
				t.Errorf("%s is not the default", value)
			}
			for _, k := range Keys() {
				if k.Name == string(name) && k.Default != string(value) {
					t.Errorf("the help has the default %s", k.Default)
				}
			}
		})
	}
	if headings := regexp.MustCompile("(?m)^### ").FindAllIndex(text, -1); len(headings) != len(got) {
		t.Errorf("%d headings, but %d keys with a default and a place", len(headings), len(got))
	}
	if want := scopes(); !sameLines(got, want) {
		t.Errorf("documented are %q, the keys are %q", got, want)
	}
}

func TestTheExampleNamesEveryKeyAndItsDefault(t *testing.T) {
	const path = "../../docs/config.example.yaml"
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !equal(*c, Default()) {
		t.Errorf("as it is, it says %+v", *c)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// One space behind the # is text, none or more is a setting.
	text = regexp.MustCompile(`(?m)^#(\w|  )`).ReplaceAll(text, []byte("$1"))
	c, err = Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != Default().Host {
		t.Errorf("without its #, it says %+v for all hosts, which is not the default", c.Host)
	}
	if different := DifferentTop(c, ptr(Default())); len(different) > 0 {
		t.Errorf("without its #, %q are not the default", different)
	}
	if got := c.AllowHosts["registry.example:5000"].Users; !slices.Equal(got, []string{"root"}) || len(c.AllowHosts) != 1 {
		t.Errorf("without its #, it says %+v may use single hosts", c.AllowHosts)
	}
	if a, r := c.For("apache.example:443"), c.For("registry.example:5000"); !a.Renegotiation || r.AttemptTimeout != 0 || len(c.Hosts) != 2 {
		t.Errorf("without its #, it says %+v for its hosts", c.Hosts)
	}
	for _, k := range Keys() {
		if !regexp.MustCompile(`(?m)^ *` + k.Name + `:`).Match(text) {
			t.Errorf("%s is missing", k.Name)
		}
	}
}

const (
	everywhere = "For all hosts, and per host"
	perHost    = "Per host only"
	topOnly    = "For all hosts only"
)

func ptr[T any](v T) *T { return &v }

// scopes says of every key what the documentation has to.
func scopes() []string {
	var all []string
	for _, k := range Keys() {
		how := "In the file only."
		if k.Flag != "" {
			how = fmt.Sprintf("Flag `--%s`, variable `%s`.", k.Flag, k.Variable())
		}
		when := "SIGHUP changes it."
		if k.Restart {
			when = "Needs a restart."
		}
		all = append(all, fmt.Sprintf("%s: %s. %s %s", k.Name, map[Scope]string{Everywhere: everywhere, HostOnly: perHost, TopOnly: topOnly}[k.Scope], how, when))
	}
	return all
}

func sameLines(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
