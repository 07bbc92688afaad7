package config

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/certproxy/certproxy/certs"
)

// readHosts reads the settings of single hosts. Each starts with those of all hosts.
func (r *reader) readHosts(c *Config, value *yaml.Node) {
	c.Hosts = make(map[string]HostSettings)
	first := make(map[string]int)
	r.entries("hosts", value, func(line int, name string, value *yaml.Node) {
		authority, err := parseHost(name)
		if err != nil {
			r.fail(line, "hosts: %v", err)
			return
		}
		if before, twice := first[authority]; twice {
			r.fail(line, "hosts: %.100q is the same host as line %d, %s; put its settings together", name, before, authority)
			return
		}
		first[authority] = line
		s, a := c.Host, Allow{} // who may is decided for all hosts and for this one: nothing is taken over
		r.settings(authority, authority, value, level{
			known:     append(hostKeys(&s, &a), ownKeys(&s)...),
			elsewhere: topKeys(&Config{}),
			move:      "is set for all hosts at once; move it to the top level of the file",
		})
		c.Hosts[authority] = s
		if len(a.Users)+len(a.Groups)+len(a.Networks) > 0 {
			if c.AllowHosts == nil {
				c.AllowHosts = make(map[string]Allow)
			}
			c.AllowHosts[authority] = a
		}
	})
}

// parseHost reads a host as the name of its directory gives it. The form name_port_
// is for file systems that cannot hold a colon: read as a name, it would be a host
// that nobody asks for.
func parseHost(s string) (authority string, err error) {
	if strings.HasSuffix(s, "_") {
		return "", errors.New("a name that ends in _ is no host; write name:port")
	}
	return certs.ParseHost(s)
}
