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

// Load reads a configuration file. Where there is none, the error is fs.ErrNotExist.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a configuration. The error names all mistakes, a line each, in the
// order in which they stand in the file, whose name is given for that.
func Parse(name string, data []byte) (*Config, error) {
	r := &reader{values: maxSize}
	c := Default()
	if root := r.document(data); root != nil {
		r.config(&c, root)
	}
	if err := r.err(name); err != nil {
		return nil, err
	}
	return &c, nil
}

func (r *reader) config(c *Config, root *yaml.Node) {
	r.settings("the file", root, place{
		known:     append(topKeys(c), hostKeys(&c.Host)...),
		elsewhere: ownKeys(&HostSettings{}),
		move:      "is set for one host at a time; move it below that host, in hosts",
	})
	if r.hosts != nil {
		r.readHosts(c, r.hosts)
	}
}

// A place is somewhere in the file where keys may stand.
type place struct {
	known     []key
	elsewhere []key  // known in another place
	move      string // what to do about those
}

// settings reads a map of known keys.
func (r *reader) settings(where string, value *yaml.Node, p place) {
	first := make(map[string]int)
	r.entries(where, value, func(line int, name string, value *yaml.Node) {
		i := slices.IndexFunc(p.known, func(k key) bool { return k.name == name })
		if i < 0 {
			r.fail(line, "%s", unknown(name, p))
			return
		}
		if before, twice := first[name]; twice {
			r.fail(line, "%s is already set on line %d; remove one of the two", name, before)
			return
		}
		first[name] = line
		p.known[i].read(r, name, value)
	})
}

// unknown says what to do about a key that is not known where it stands.
func unknown(name string, p place) string {
	if slices.ContainsFunc(p.elsewhere, func(k key) bool { return k.name == name }) {
		return name + " " + p.move
	}
	what := fmt.Sprintf("unknown key %.60q", name)
	if name == "<<" {
		return what + "; YAML's merge is not read, only whole values can be shared by an alias"
	}
	return what + "; " + suggest(name, p.known)
}
