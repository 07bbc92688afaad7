package certs

import (
	"net"
	"strings"
)

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
	spec, f := dir, formBare
	switch host, port, ok := cutUnderscorePort(dir); {
	case ok:
		spec, f = host+":"+port, formUnderscore
	case strings.HasPrefix(dir, "["):
		if strings.HasSuffix(dir, "]") {
			spec = dir + ":443"
		} else {
			f = formColon
		}
	case strings.Count(dir, ":") == 1:
		f = formColon
	case strings.Contains(dir, ":"):
		// An IPv6 address without brackets: its last group could be a port.
		spec = net.JoinHostPort(dir, "443")
	default:
		spec = dir + ":443"
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
