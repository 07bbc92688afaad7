package config

import (
	"slices"
	"strings"
)

// A Key is a setting as people know it: its word in the file, its flag, its variable.
type Key struct {
	Name    string // in the file
	Flag    string // without its dashes; empty for none
	Scope   Scope
	Restart bool   // a change takes effect when certproxy is started again; else SIGHUP is enough
	List    bool   // has a list: several entries in the file, a flag that is repeated
	Type    string // what a flag takes, in one word for its help
	Default string // as it is written in the file
	Group   string // heading in the help
	Help    string // of the flag, in one line
}

// Scope is where in the file a key may stand.
type Scope uint8

const (
	TopOnly    Scope = iota // at the top level, for all hosts
	Everywhere              // there, and below a host
	HostOnly                // below a host
)

const prefix = "CERTPROXY_"

// ConfigVariable names the configuration file, as --config does. It is no key of it.
const ConfigVariable = prefix + "CONFIG"

// Variable is the environment variable that sets the key, or empty where none does:
// what is of one host, or a whole map of them, stands in the file.
func (k Key) Variable() string {
	if k.Flag == "" {
		return ""
	}
	return prefix + strings.ToUpper(k.Name)
}

// Keys returns all keys, in the order in which they are documented.
func Keys() []Key {
	all := slices.Concat(topKeys(&Config{}), hostKeys(&HostSettings{}, &Allow{}), ownKeys(&HostSettings{}))
	out := make([]Key, len(all))
	for i, k := range all {
		out[i] = k.Key
	}
	return out
}
