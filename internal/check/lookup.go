package check

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/certproxy/certproxy/certs"
)

// lookup finds the host's directory, and says of each place where it could be why it
// was or was not used.
func (r *run) lookup() *certs.Host {
	authority := r.Target.Host
	host, _ := r.index.Lookup(authority)
	for _, root := range r.Roots {
		entries, err := fs.ReadDir(root.FS, ".")
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.looked(root.Path, "missing", "there is no such root")
			continue
		case err != nil:
			r.looked(root.Path, "unreadable", reason(err))
			continue
		}
		for _, name := range certs.DirNames(authority) {
			found := ""
			for _, e := range entries {
				if strings.EqualFold(e.Name(), name) {
					found = e.Name()
				}
			}
			dir := path.Join(root.Path, name)
			if found != "" {
				dir = path.Join(root.Path, found)
			}
			switch {
			case found == "":
				r.looked(dir, "missing", "")
			case host != nil && host.Dir == dir:
				r.looked(dir, "used", used(host))
			case host != nil:
				r.looked(dir, "shadowed", host.Dir+" comes first, and directories are never merged")
			default:
				r.looked(dir, "unreadable", "it is no directory")
			}
		}
	}
	return host
}

func (r *run) looked(dir, state, why string) {
	r.report.Lookup = append(r.report.Lookup, Looked{Path: dir, State: state, Why: why})
}

func used(h *certs.Host) string {
	switch h.Action {
	case certs.Intercept:
		if len(h.Pairs) == 0 {
			return "it holds CA roots and no pair: no client certificate is presented"
		}
		return "tried in this order: " + strings.Join(pairNames(h), ", ")
	case certs.Unusable:
		return "nothing in it can be used: requests are answered 502"
	case certs.Tunnel:
	}
	return "it holds nothing: the host is tunnelled"
}

func pairNames(h *certs.Host) []string {
	var names []string
	for _, p := range h.Pairs {
		names = append(names, p.Name)
	}
	return names
}

// A miss is a directory that may have been meant for the host.
type miss struct {
	dir  string // its path
	why  string
	want string // where it would be found
	weak bool   // it may as well be meant for another host
}

// misses looks for directories that were meant for the host, the most likely first.
func (r *run) misses() []miss {
	var sure, likely, weak []miss
	for _, root := range r.Roots {
		if root.Parent != nil && path.Base(root.Path) == "certs.d" {
			for _, name := range []string{"cert.d", "certs", "cert"} {
				for _, e := range list(root.Parent, name) {
					if authority, err := certs.ParseDirName(e); err == nil && authority == r.Target.Host {
						wrong := path.Join(path.Dir(root.Path), name)
						sure = append(sure, miss{dir: path.Join(wrong, e), want: path.Join(root.Path, e), why: wrong + " is not read: the root is called certs.d"})
					}
				}
			}
		}
		for _, e := range list(root.FS, ".") {
			m, ok := r.compare(e)
			if !ok {
				continue
			}
			m.dir, m.want = path.Join(root.Path, e), path.Join(root.Path, r.Target.Host)
			if m.weak {
				weak = append(weak, m)
			} else {
				likely = append(likely, m)
			}
		}
	}
	return slices.Concat(sure, likely, weak)
}

// compare says how a directory's name is near to the host's.
func (r *run) compare(name string) (miss, bool) {
	host, port := split(r.Target.Host)
	if name == "_default" || strings.ContainsAny(name, "*?") {
		return miss{why: "it is for all hosts, and wildcards never carry client keys", weak: true}, true
	}
	authority, err := certs.ParseDirName(name)
	if err != nil {
		if letters(name) == letters(r.Target.Host) || port == "443" && letters(name) == letters(host) {
			return miss{why: "its name is not of the form HOST:PORT, HOST_PORT_ or, for port 443, HOST"}, true
		}
		return miss{}, false
	}
	dirHost, dirPort := split(authority)
	switch {
	case authority == r.Target.Host:
		return miss{}, false
	case dirHost == host && !strings.Contains(name, ":") && dirPort == "443":
		return miss{why: "a name without a port is for port 443 alone, not for " + port}, true
	case dirHost == host:
		return miss{why: "it is for port " + dirPort + ", not for " + port}, true
	case letters(name) == letters(r.Target.Host):
		return miss{why: "it is for the host " + authority + ": the form without a colon is " + host + "_" + port + "_"}, true
	case strings.HasSuffix(host, "."+dirHost):
		return miss{why: "it is for " + dirHost + " alone, not for what is below it", weak: true}, true
	case dirPort == port && distance(dirHost, host) <= 2:
		return miss{why: "its name differs by a letter or two"}, true
	}
	return miss{}, false
}

// list returns the directories in a directory.
func list(fsys fs.FS, dir string) []string {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if info, err := fs.Stat(fsys, path.Join(dir, e.Name())); err == nil && info.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

func split(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	return authority[:i], authority[i+1:]
}

// letters leaves of a name what tells it from others, however it is punctuated.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

// distance is how many letters must be changed, added or removed (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}

// reason is the text of an error without the path, which is named already.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return err.Error()
}
