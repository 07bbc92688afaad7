package check

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// proxyVariable returns the variable that names a proxy for https, and its value; the
// one in lower case comes first, as for curl and Go.
func proxyVariable(getenv func(string) string) (name, value string) {
	for _, name := range []string{"https_proxy", "HTTPS_PROXY"} {
		if v := getenv(name); v != "" {
			return name, v
		}
	}
	return "", ""
}

// proxyAddr is the host:port of a proxy's URL, or "".
func proxyAddr(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if u, err = url.Parse("http://" + value); err != nil {
			return ""
		}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// loopbackProxy is the address in HTTPS_PROXY, if it is of this machine.
func loopbackProxy(getenv func(string) string) string {
	_, value := proxyVariable(getenv)
	if value == "" {
		return ""
	}
	addr := proxyAddr(value)
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return addr
	}
	return ""
}

// proxyURL is what clients should have in HTTPS_PROXY.
func (r *run) proxyURL() string {
	for _, addr := range slices.Concat(r.proxies, r.Listeners) {
		if tcp, ok := strings.CutPrefix(addr, "tls:"); ok && !strings.HasPrefix(tcp, "unix:") {
			return "https://" + tcp
		}
		if !strings.HasPrefix(addr, "unix:") && !strings.HasPrefix(addr, "tls:") {
			return "http://" + addr
		}
	}
	return "http://127.0.0.1:3128"
}

// listens reports whether an address of TCP is among others, with TLS or without.
func listens(among []string, addr string) bool {
	return slices.Contains(among, addr) || slices.Contains(among, "tls:"+addr)
}

// isOurs reports whether an address is one at which certproxy answered.
func (r *run) isOurs(addr string) bool {
	if listens(r.proxies, addr) {
		return true
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "localhost" {
		return false
	}
	return listens(r.proxies, net.JoinHostPort("127.0.0.1", port)) || listens(r.proxies, net.JoinHostPort("::1", port))
}

// withoutOurselves is the environment without the proxies that are certproxy: what a
// client is told is not how certproxy itself reaches hosts.
func (r *run) withoutOurselves() func(string) string {
	return func(key string) string {
		value := r.Proxy.Getenv(key)
		switch strings.ToUpper(key) {
		case "HTTPS_PROXY", "HTTP_PROXY":
			addr := proxyAddr(value)
			if value != "" && (r.isOurs(addr) || listens(r.Listeners, addr)) {
				return ""
			}
		}
		return value
	}
}

// lookAtEnvironment says whether programs that are started from here use the proxy.
func (r *run) lookAtEnvironment() {
	at := shell.Quote(r.proxyURL())
	export := "export HTTPS_PROXY=" + at + " https_proxy=" + at
	variable, value := proxyVariable(r.Proxy.Getenv)
	if value == "" {
		r.report.add(rankEnvironment, Finding{Level: Warning, About: "HTTPS_PROXY", Fix: export,
			Text: "it is not set here, so programs started from this shell go around the proxy (daemons have an environment of their own)"})
		return
	}
	addr := proxyAddr(value)
	if !r.isOurs(addr) && !listens(r.Listeners, addr) {
		r.report.add(rankEnvironment, Finding{Level: Warning, About: variable, Fix: export,
			Text: "it names another proxy, " + printable(addr) + ", so programs started from this shell go around certproxy; certproxy reaches hosts through that one, if it is in its own environment or in upstream_proxy"})
		return
	}
	excluded := r.excluded()
	if len(excluded) == 0 {
		r.report.add(rankEnvironment, Finding{Level: OK, About: variable, Text: "it names certproxy: " + printable(addr)})
		return
	}
	noProxy := "NO_PROXY"
	if r.Proxy.Getenv("no_proxy") != "" {
		noProxy = "no_proxy"
	}
	var kept []string
	for entry := range strings.SplitSeq(r.Proxy.Getenv(noProxy), ",") {
		if !r.excludes(entry, excluded) {
			kept = append(kept, strings.TrimSpace(entry))
		}
	}
	f := Finding{Level: Error, About: noProxy, Fix: "export " + noProxy + "=" + shell.Quote(strings.Join(kept, ",")),
		Text: "it excludes " + strings.Join(excluded, ", ") + ", so programs started from this shell go around the proxy for it"}
	if local(excluded) {
		f = Finding{Level: Note, About: variable, Text: "programs written in Go never use a proxy for " + strings.Join(excluded, ", ") + ", as it is this machine",
			Fix: "echo '127.0.0.1 registry.test' | sudo tee -a /etc/hosts", Advice: "give it another name, and a directory of that name"}
	}
	r.report.add(rankEnvironment, f)
}

// excluded returns the hosts that clients reach around the proxy: the one asked for,
// or all that are listed.
func (r *run) excluded() []string {
	var hosts []string
	if r.Target != nil {
		hosts = []string{r.Target.Host}
	} else {
		for _, h := range r.index.Hosts() {
			if h.Action != certs.Tunnel {
				hosts = append(hosts, h.Name)
			}
		}
	}
	route, err := upstreamproxy.New(upstreamproxy.Config{Getenv: r.Proxy.Getenv, Dial: noDial})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(hosts, func(host string) bool { return route.Via(host) != "" })
}

// excludes reports whether one entry of NO_PROXY alone excludes one of the hosts.
func (r *run) excludes(entry string, hosts []string) bool {
	route, err := upstreamproxy.New(upstreamproxy.Config{Dial: noDial, Getenv: func(key string) string {
		switch key {
		case "HTTPS_PROXY":
			return "http://127.0.0.1:1"
		case "NO_PROXY":
			return entry
		}
		return ""
	}})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(hosts, func(host string) bool { return route.Via(host) == "" })
}

// local reports whether all hosts are this machine by name.
func local(hosts []string) bool {
	return !slices.ContainsFunc(hosts, func(authority string) bool {
		host, _ := split(authority)
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return host != "localhost" && (err != nil || !ip.IsLoopback())
	})
}
