package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/certproxy/certproxy/internal/config"
)

// sources are what a command's configuration comes from: flags override variables, and
// those the file. The zero value says nothing, so all is by default.
type sources struct {
	file    configFile
	environ []string // as of os.Environ
	flags   []config.Setting
}

// options are what the sources come to. With mistakes, what could be read is there all
// the same.
type options struct {
	*config.Config
	origins config.Origins
	found   bool     // the file is there
	others  []string // CERTPROXY_* variables that set nothing
}

// read reads all sources.
func (s sources) read() (options, config.Mistakes) {
	data, found, err := s.file.read()
	o, mistakes := s.lay(data, found)
	if err != nil {
		mistakes = append(config.Mistakes{unreadable(err)}, mistakes...)
	}
	return o, mistakes
}

// lay puts the variables and flags over what the file holds.
func (s sources) lay(data []byte, found bool) (options, config.Mistakes) {
	variables, unknown, others := config.Variables(s.environ)
	c, origins, mistakes := config.Read(config.Sources{File: s.file.path, Data: data, Variables: variables, Flags: s.flags})
	return options{Config: c, origins: origins, found: found, others: others}, append(mistakes, unknown...)
}

// unreadable is a file that cannot be read: the error names it.
func unreadable(err error) config.Mistake {
	return config.Origin{Source: config.File}.Mistake(err.Error())
}

// look reads the sources for a command that needs only the keys named. Where flags and
// variables say all of those, the file is not asked. The default file may be for the
// service's user alone: that is no reason to fail for another, who is told so.
func (s sources) look(warn io.Writer, names ...string) (options, error) {
	variables, _, _ := config.Variables(s.environ)
	said := slices.Concat(s.flags, variables)
	needed := slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(said, func(one config.Setting) bool { return one.Key == name })
	})
	var data []byte
	var found bool
	var mistakes config.Mistakes
	if needed {
		var err error
		data, found, err = s.file.read()
		switch {
		case err != nil && s.file.optional && errors.Is(err, fs.ErrPermission):
			_, _ = fmt.Fprintf(warn, "certproxy: warning: %s cannot be read by this user, so its settings are not known here; name them with flags, or see them as the user certproxy runs as\n", s.file.path)
		case err != nil:
			mistakes = append(mistakes, unreadable(err))
		}
	}
	o, more := s.lay(data, found)
	return o, refuse(append(mistakes, more...))
}

// refuse returns the mistakes as an error, or nil where there is none. Those of the
// command line make it a mistake of usage.
func refuse(mistakes config.Mistakes) error {
	if len(mistakes) == 0 {
		return nil
	}
	order := func(m config.Mistake) int {
		if m.Origin.Source == config.ByDefault {
			return int(config.Flag) + 1
		}
		return int(m.Origin.Source)
	}
	slices.SortStableFunc(mistakes, func(a, b config.Mistake) int {
		first := cmp.Compare(order(a), order(b))
		switch {
		case first != 0 || a.Origin.Source == config.Flag: // as they were given
			return first
		case a.Origin.Source == config.Variable:
			return cmp.Compare(a.Origin.Name, b.Origin.Name)
		case a.Origin.Line == 0 || b.Origin.Line == 0: // about the file as a whole: behind its lines
			return cmp.Compare(b.Origin.Line, a.Origin.Line)
		}
		return cmp.Compare(a.Origin.Line, b.Origin.Line)
	})
	said := map[config.Mistake]bool{} // one for all aliases of a list
	mistakes = slices.DeleteFunc(mistakes, func(m config.Mistake) bool {
		defer func() { said[m] = true }()
		return said[m]
	})
	if slices.ContainsFunc(mistakes, func(m config.Mistake) bool { return m.Origin.Source == config.Flag }) {
		return usageError{mistakes}
	}
	return mistakes
}
