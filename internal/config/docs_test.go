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
	// What it says about a key: its name, its default, and where it may stand.
	documented := regexp.MustCompile("(?m)^### `(.*)`\n\nDefault `(.*)`\\. (.*)\\.$")
	var got []string
	for _, m := range documented.FindAllSubmatch(text, -1) {
		name, value, where := m[1], m[2], m[3]
		got = append(got, fmt.Sprintf("%s: %s", name, where))
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

// scopes names every key and where it may stand.
func scopes() []string {
	var all []string
	for _, k := range Keys() {
		all = append(all, k.Name+": "+map[Scope]string{Everywhere: everywhere, HostOnly: perHost, TopOnly: topOnly}[k.Scope])
	}
	return all
}

func sameLines(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
