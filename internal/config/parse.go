package config

import (
	"fmt"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"
)

// maxSize bounds a file: 10,000 hosts with a few settings each take half of it.
const maxSize = 1 << 20

// Sources are all that a configuration is read from. What is missing says nothing.
type Sources struct {
	File      string // its name, for mistakes and for relative paths in it
	Data      []byte // what it holds
	Variables []Setting
	Flags     []Setting
}

// ReadFile returns what a file holds, as far as it is looked at. Where there is none,
// the error is fs.ErrNotExist.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}

// Load reads a configuration file.
func Load(path string) (*Config, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads what a configuration file holds. The error names all mistakes, a line
// each, in the order in which they stand in the file, whose name is given for that.
func Parse(name string, data []byte) (*Config, error) {
	c, _, mistakes := Read(Sources{File: name, Data: data})
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return c, nil
}

// Read reads a configuration: flags override variables, and those the file, key by key.
// With mistakes, what can be read is there all the same, for others to look at.
func Read(s Sources) (*Config, Origins, Mistakes) {
	r := &reader{file: s.File, values: maxSize, origins: map[at][]Origin{}, told: map[string]int{}}
	c := Default()
	if root := r.document(s.Data); root != nil {
		r.settings("", "the file", root, level{
			known:     append(topKeys(&c), hostKeys(&c.Host, &c.Allow)...),
			elsewhere: ownKeys(&HostSettings{}),
			move:      "is set for one host at a time; move it below that host, in hosts",
		})
	}
	r.overlay(&c, s.Variables)
	r.overlay(&c, s.Flags)
	if r.hosts != nil {
		r.readHosts(&c, r.hosts)
	}
	return &c, Origins{r.origins}, r.all()
}

// overlay puts what flags or variables say over what was read before.
func (r *reader) overlay(c *Config, settings []Setting) {
	known := append(topKeys(c), hostKeys(&c.Host, &c.Allow)...)
	for _, s := range settings {
		i := slices.IndexFunc(known, func(k key) bool { return k.Name == s.Key && k.target != nil })
		if i < 0 {
			r.others = append(r.others, s.From.Mistake("is for no key of all hosts"))
			continue
		}
		r.put("", known[i], slices.Clone(s.Values), slices.Repeat([]Origin{s.From}, len(s.Values)))
	}
}

// A level is somewhere in the file where keys may stand.
type level struct {
	known     []key
	elsewhere []key  // known at another level
	move      string // what to do about those
}

// settings reads a map of known keys; host is empty at the top level.
func (r *reader) settings(host, where string, value *yaml.Node, l level) {
	first := make(map[string]int)
	r.entries(where, value, func(line int, name string, value *yaml.Node) {
		i := slices.IndexFunc(l.known, func(k key) bool { return k.Name == name })
		if i < 0 {
			r.fail(line, "%s", r.unknown(line, name, l))
			return
		}
		if before, twice := first[name]; twice {
			r.fail(line, "%s is already set on line %d; remove one of the two", name, before)
			return
		}
		first[name] = line
		if l.known[i].target == nil {
			r.hosts = value // they take over what stands above and below them
			return
		}
		r.value(host, l.known[i], value)
	})
}

// value reads what stands behind a key.
func (r *reader) value(host string, k key, value *yaml.Node) {
	nodes := []*yaml.Node{value}
	if k.List {
		var ok bool
		if nodes, ok = r.items(k.Name, value); !ok {
			return
		}
	}
	var texts []string
	var from []Origin
	for _, n := range nodes {
		if text, line, ok := r.text(k.Name, n); ok {
			texts = append(texts, text)
			from = append(from, Origin{Source: File, Name: r.file, Line: line, Key: k.Name})
		} else if !k.List {
			return
		}
	}
	r.put(host, k, texts, from)
}

// unknown says what to do about a key that is not known where it stands.
func (r *reader) unknown(line int, name string, l level) string {
	if slices.ContainsFunc(l.elsewhere, func(k key) bool { return k.Name == name }) {
		return name + " " + l.move
	}
	what := fmt.Sprintf("unknown key %.60q", name)
	if name == "<<" {
		return what + "; YAML's merge is not read, only whole values can be shared by an alias"
	}
	return what + "; " + r.suggest(line, name, l)
}
