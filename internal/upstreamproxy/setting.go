package upstreamproxy

import (
	"crypto/x509"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// A proxy is one proxy of the site.
type proxy struct {
	url     *url.URL // scheme, credentials, and the host with its port; no more
	setting string   // what names it: upstream_proxy, HTTPS_PROXY, https_proxy, ...
	roots   *x509.CertPool
	via     string
}

// addr is the proxy's host:port.
func (p *proxy) addr() string { return p.url.Host }

// String is the URL without what must stay secret, and where it comes from.
func (p *proxy) String() string {
	if p == nil {
		return "direct"
	}
	shown := *p.url
	if _, has := shown.User.Password(); shown.User != nil && !has {
		shown.User = url.User("xxxxx") // alone, it may be a token
	}
	return shown.Redacted() + " (" + p.setting + ")"
}

// An environment looks variables up in both cases.
type environment struct{ getenv func(string) string }

// first returns the variable that is set, the one in lower case first, as httpproxy does.
func (e environment) first(name string) (found, value string) {
	if e.getenv == nil {
		return "", ""
	}
	for _, name := range []string{strings.ToLower(name), name} {
		if value := e.getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// proxy returns the proxy that a variable names, or nil.
func (e environment) proxy(name string) (*proxy, error) {
	name, value := e.first(name)
	if value == "" {
		return nil, nil
	}
	return parse(name, value)
}

// form is what to write, for hints.
const form = "http://[USER:PASSWORD@]HOST[:PORT] or https://..."

// parse reads a proxy's URL; without a scheme it is http. No error shows any of the
// text: where it does not parse, nobody can tell what of it is the password.
func parse(setting, value string) (*proxy, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" { // "squid:3128" has the scheme squid
		u, err = url.Parse("http://" + value)
	}
	switch {
	case err != nil, u.Hostname() == "", u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return nil, invalid(setting, "is not the URL of a proxy",
			"use "+form+`; in USER and PASSWORD write : / ? # [ ] @ % and space in percent-encoding, "@" as %40`)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid(setting, "names a "+printable(u.Scheme)+" proxy, which is not supported", "use "+form)
	case u.User != nil && strings.Contains(u.User.Username(), ":"):
		return nil, invalid(setting, "has a user name with a colon, which Basic credentials cannot carry", "use another user")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, invalid(setting, "has a port that is not a number from 1 to 65535", "use "+form)
	}
	host := u.Hostname()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil && !isASCII(host) {
		host = ascii
	}
	return &proxy{setting: setting, url: &url.URL{Scheme: u.Scheme, User: u.User, Host: net.JoinHostPort(host, port)}}, nil
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0 }
