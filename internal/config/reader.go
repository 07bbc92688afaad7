package config

import (
	"fmt"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"
)

// maxMistakes bounds what is reported: it is the wrong file that has more.
const maxMistakes = 20

// A reader goes once through all sources and notes what is wrong with them.
type reader struct {
	file     string
	mistakes Mistakes   // in the file
	others   Mistakes   // elsewhere
	values   int        // how many more are read of the file
	hosts    *yaml.Node // what stands behind that key; nil without it
	origins  map[at][]Origin
	told     map[string]int // levels whose known keys were listed, and on which line
}

// fail notes a mistake in the file. It has no line where that is 0.
func (r *reader) fail(line int, format string, args ...any) {
	from := Origin{Source: File, Name: r.file, Line: line}
	r.mistakes = append(r.mistakes, from.Mistake(fmt.Sprintf(format, args...)))
}

// put sets a key, and remembers where its entries are from.
func (r *reader) put(host string, k key, texts []string, from []Origin) {
	if k.path {
		for i, text := range texts {
			if from[i].Source == File && text != "" && !filepath.IsAbs(text) {
				texts[i] = filepath.Join(filepath.Dir(r.file), text)
			}
		}
	}
	var kept []Origin
	for i, err := range k.set(texts) {
		if err == nil {
			kept = append(kept, from[i])
			continue
		}
		if m := from[i].Mistake(err.Error()); m.Origin.Source == File {
			r.mistakes = append(r.mistakes, m)
		} else {
			r.others = append(r.others, m)
		}
	}
	r.origins[at{host, k.Name}] = kept
}

// more reports whether to read on. A file holds fewer values than bytes: what comes
// to more are aliases of aliases, which can make a small file endless.
func (r *reader) more() bool {
	r.values--
	return r.values > 0 && len(r.mistakes) < maxMistakes
}

// all returns the mistakes of all sources.
func (r *reader) all() Mistakes {
	if r.values <= 0 {
		r.fail(0, "its aliases stand for more than %d values; write them out", maxSize)
	}
	stopped := len(r.mistakes) >= maxMistakes
	slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return a.Origin.Line - b.Origin.Line })
	r.mistakes = slices.Compact(r.mistakes) // one for all aliases of a value
	if stopped {
		r.fail(0, "the rest was not read: is it certproxy's configuration?")
	}
	return append(r.mistakes, r.others...)
}

// entries reads a map: each key with its line and what stands behind it. Nothing at
// all is an empty map, as where all that stands below a key is commented out.
func (r *reader) entries(name string, n *yaml.Node, entry func(line int, key string, value *yaml.Node)) {
	n, ok := r.resolve(name, n)
	switch {
	case !ok || n.Tag == "!!null":
		return
	case n.Kind != yaml.MappingNode:
		r.fail(n.Line, "%s: %s where keys with values are expected; write key: value", name, kindOf(n))
		return
	}
	for i := 0; i+1 < len(n.Content) && r.more(); i += 2 {
		if key, _, ok := r.text("a key", n.Content[i]); ok {
			entry(n.Content[i].Line, key, n.Content[i+1])
		}
	}
}

// items reads a list.
func (r *reader) items(name string, n *yaml.Node) ([]*yaml.Node, bool) {
	n, ok := r.resolve(name, n)
	if !ok {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, "%s: %s where a list is expected; write it in brackets, [] for an empty one", name, kindOf(n))
		return nil, false
	}
	for i := range n.Content {
		if !r.more() {
			return n.Content[:i], true
		}
	}
	return n.Content, true
}

// text reads one value, whether it is quoted or not: a port is as good a text as a
// name, and each setting says itself what it takes.
func (r *reader) text(name string, n *yaml.Node) (text string, line int, ok bool) {
	n, ok = r.resolve(name, n)
	if !ok {
		return "", 0, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(n.Line, "%s: %s where one value is expected", name, kindOf(n))
		return "", 0, false
	}
	return n.Value, n.Line, true
}

// resolve returns the node that an alias stands for. A tag is refused: it would say
// that the value means something else than it looks like.
func (r *reader) resolve(name string, n *yaml.Node) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		// Not the tag itself: it may be a password that begins with an exclamation mark.
		r.fail(n.Line, "%s: what starts with ! is a YAML tag, and none is read; put a value that starts with ! in quotes", name)
		return nil, false
	}
	return n, true
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return "one value"
	}
}
