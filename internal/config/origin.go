package config

import (
	"fmt"
	"strings"
)

// A Source is one of the places in which settings are given. A later one overrides an
// earlier one, key by key.
type Source uint8

const (
	ByDefault Source = iota
	File
	Variable
	Flag
)

// An Origin is where a value was given.
type Origin struct {
	Source Source
	Name   string // of the file, the variable, or the flag with its dashes
	Line   int    // in the file; 0 where it has none
	Key    string // empty where it is about the source as a whole
}

// Mistake says what is wrong with the value, which is named first: the text goes on
// from there. It must not hold what may be a secret.
func (o Origin) Mistake(text string) Mistake { return Mistake{Origin: o, Text: text} }

// A Mistake is something in a source that cannot be used.
type Mistake struct {
	Origin Origin
	Text   string
}

// Error is one line: where, what, and what to do.
func (m Mistake) Error() string {
	o := m.Origin
	where, named := o.Name, o.Name != ""
	if o.Source == File || o.Source == ByDefault {
		if o.Line > 0 {
			where = fmt.Sprintf("%s:%d", o.Name, o.Line)
		}
		if o.Key == "" && named {
			return where + ": " + m.Text
		}
		if named {
			where += ": "
		}
		where += o.Key
	}
	switch {
	case where == "":
		return m.Text
	case goesOn(m.Text) || o.Source != File && strings.HasPrefix(m.Text, `"`):
		return where + " " + m.Text
	}
	return where + ": " + m.Text
}

// goesOn reports whether a text is a sentence whose subject is the setting.
func goesOn(text string) bool {
	for _, verb := range []string{"is ", "has ", "names ", "needs "} {
		if strings.HasPrefix(text, verb) {
			return true
		}
	}
	return false
}

// Mistakes are all that is wrong, in the order of the sources and, within the file, of
// its lines. None is no error.
type Mistakes []Mistake

// Error has a line for each.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Origins are where the values of a configuration were given.
type Origins struct{ of map[at][]Origin }

// An at is where a key stands: its host is empty at the top level.
type at struct{ host, key string }

// Of returns where entry i of a key was given, at the top level (host is "") or below a
// host. What is by default has an origin that names the key only.
func (o Origins) Of(host, key string, i int) Origin {
	if all := o.of[at{host, key}]; i < len(all) {
		return all[i]
	}
	return Origin{Key: key}
}
