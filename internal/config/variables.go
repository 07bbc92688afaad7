package config

import (
	"regexp"
	"slices"
	"strings"
)

// A Setting is what a flag or a variable says about a key.
type Setting struct {
	Key    string
	Values []string // one, or the entries of a list
	From   Origin
}

// ByFlag returns the setting that a flag makes.
func ByFlag(k Key, values ...string) Setting {
	return Setting{Key: k.Name, Values: values, From: Origin{Source: Flag, Name: "--" + k.Flag, Key: k.Name}}
}

// kubernetes matches what Kubernetes sets in every container for each service of the
// namespace, and a service is easily called certproxy.
var kubernetes = regexp.MustCompile(`^CERTPROXY_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// Variables returns what an environment, such as that of [os.Environ], says: its
// CERTPROXY_* variables, a mistake for each that is none but nearly, and the names of the
// others: whoever calls a binary, a test or a service certproxy makes such variables, and means no
// setting. One that is empty is as if it was not set. A list is separated by commas; \, is a comma within an entry,
// \\ a backslash. [ConfigVariable] is left to whoever opens the file.
func Variables(environ []string) (settings []Setting, mistakes Mistakes, others []string) {
	inKubernetes := slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, "KUBERNETES_SERVICE_HOST=") })
	known := Keys()
	for _, assignment := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(assignment, "=")
		if !strings.HasPrefix(name, prefix) || name == ConfigVariable || inKubernetes && kubernetes.MatchString(name) {
			continue
		}
		from := Origin{Source: Variable, Name: name}
		i := slices.IndexFunc(known, func(k Key) bool { return k.Variable() == name })
		if i < 0 {
			from.Name = printable(name)
			if why := meant(name, known); why != "" {
				mistakes = append(mistakes, from.Mistake(why))
			} else {
				others = append(others, from.Name)
			}
			continue
		}
		if value == "" {
			continue
		}
		from.Key = known[i].Name
		values := []string{value}
		if known[i].List {
			values = split(value)
		}
		settings = append(settings, Setting{Key: known[i].Name, Values: values, From: from})
	}
	return settings, mistakes, others
}

// meant says what to do about a variable that sets nothing and was meant to, as far as its
// name tells; else nothing.
func meant(name string, known []Key) string {
	variables := []string{ConfigVariable}
	for _, k := range known {
		if variable := k.Variable(); variable != "" {
			variables = append(variables, variable)
		} else if name == prefix+strings.ToUpper(k.Name) {
			return "is no variable: " + k.Name + " stands in the configuration file only"
		}
	}
	const slips = 2 // letters
	name = strings.TrimPrefix(name, prefix)
	word, near := nearest(name, strip(variables))
	if !near || distance(name, word) > slips {
		return ""
	}
	return "is a variable that is not known; did you mean " + prefix + word + "?"
}

func strip(variables []string) []string {
	out := make([]string, len(variables))
	for i, v := range variables {
		out[i] = strings.TrimPrefix(v, prefix)
	}
	return out
}

// split reads the list of a variable. White space around an entry is not of it.
func split(text string) []string {
	var entries []string
	var b strings.Builder
	end := func() {
		entries = append(entries, strings.TrimSpace(b.String()))
		b.Reset()
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ',':
			end()
		case c == '\\' && i+1 < len(text) && (text[i+1] == ',' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	end()
	return entries
}

// printable shows a name that others chose.
func printable(name string) string {
	const most = 60
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	if len(name) > most {
		name = name[:most] + "..."
	}
	return name
}
