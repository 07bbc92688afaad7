package certs

import "strings"

// A form is one of the ways to name a host directory. The lower one wins where a
// root has several for one host.
type form int

const (
	formColon      form = iota // registry.example:5000
	formUnderscore             // registry.example_5000_, for mounts that cannot hold a colon (containerd's form)
	formBare                   // registry.example, for port 443 only
)

// parseDirName returns the authority that a host directory's name stands for.
//
// A bare name stands for port 443 alone: under any other port its keys would go to
// another service.
func parseDirName(dir string) (authority string, f form, err error) {
	if host, port, ok := cutUnderscorePort(dir); ok {
		authority, err = ParseAuthority(host + ":" + port)
		return authority, formUnderscore, err
	}
	spec, bare := withPort(dir)
	if bare {
		f = formBare
	}
	authority, err = ParseAuthority(spec)
	return authority, f, err
}

// cutUnderscorePort splits host_port_.
func cutUnderscorePort(dir string) (host, port string, ok bool) {
	rest, ok := strings.CutSuffix(dir, "_")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndexByte(rest, '_')
	if i < 0 || rest[i+1:] == "" || strings.Trim(rest[i+1:], "0123456789") != "" {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// DirNames returns the names that a host directory can have for a canonical authority,
// the one that wins first.
func DirNames(authority string) []string {
	i := strings.LastIndexByte(authority, ':')
	host, port := authority[:i], authority[i+1:]
	names := []string{authority, host + "_" + port + "_"}
	if port == "443" {
		names = append(names, host)
	}
	return names
}

// ParseDirName returns the authority that a host directory's name stands for.
func ParseDirName(dir string) (authority string, err error) {
	authority, _, err = parseDirName(dir)
	return authority, err
}
