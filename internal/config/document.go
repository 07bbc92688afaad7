package config

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// document returns the value that a file holds, or nil where it holds none or is
// no YAML.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxSize {
		r.fail(0, "larger than 1 MiB: is it certproxy's configuration?")
		return nil
	}
	if line, what := foreign(data); what != "" {
		r.fail(line, "%s; save it as UTF-8 text", what)
		return nil
	}
	switch documents, err := firstTwo(data); {
	case err != nil:
		r.syntax(data, err)
	case len(documents) > 1:
		r.fail(documents[1].Line, "a second document starts here (---); put all settings into one")
	case len(documents) == 1:
		return documents[0].Content[0]
	}
	return nil
}

// firstTwo returns the first two documents of a YAML stream, or as many as it has:
// none where there are only comments.
func firstTwo(data []byte) (documents []*yaml.Node, err error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	for err == nil && len(documents) < 2 {
		document := new(yaml.Node)
		if err = loader.Load(document); err == nil {
			documents = append(documents, document)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return documents, err
}

// foreign finds bytes that no YAML file holds, with their line.
func foreign(data []byte) (line int, what string) {
	line = 1
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		switch {
		case c == utf8.RuneError && n == 1:
			return line, "not UTF-8"
		case c == '\n':
			line++
		case unicode.IsControl(c) && c != '\t' && c != '\r' && c != '\u0085':
			return line, "a control character"
		}
		data = data[n:]
	}
	return 0, ""
}

// syntax notes why a file is no YAML. The library's words hold nothing of the file
// but the name of an unknown anchor, which may be a password that begins with an
// asterisk.
func (r *reader) syntax(data []byte, err error) {
	var fault *yaml.LoadError
	if !errors.As(err, &fault) {
		r.fail(0, "not YAML")
		return
	}
	line := lineOf(data, fault.Mark.Line)
	switch first := strings.TrimLeft(line, " "); {
	case strings.HasPrefix(fault.Message, "unknown anchor"):
		r.fail(fault.Mark.Line, "an alias (*) to what no anchor (&) before it names; put a name or value that starts with * in quotes")
	case isIndentedByTab(line):
		r.fail(fault.Mark.Line, "indented by a tab; use spaces")
	case strings.HasPrefix(first, "[") && strings.Contains(first, "]:"):
		r.fail(fault.Mark.Line, "%s; put a name that starts with [ in quotes", fault.Message)
	case fault.ContextMsg != "" && fault.ContextMark.Line < fault.Mark.Line:
		r.fail(fault.Mark.Line, "%s %s that starts on line %d", fault.Message, fault.ContextMsg, fault.ContextMark.Line)
	default:
		r.fail(fault.Mark.Line, "%s", fault.Message)
	}
}

// lineOf returns a line of the file by its number, which is 0 where it is not known.
func lineOf(data []byte, number int) string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	lines := strings.Split(text, "\n")
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// isIndentedByTab reports whether a tab is among the white space before a line's text.
func isIndentedByTab(line string) bool {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	return strings.Contains(indent, "\t")
}
