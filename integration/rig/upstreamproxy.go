package rig

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// UpstreamOptions say how a site has set up its proxy. The zero value lets everybody
// through to everything that resolves.
type UpstreamOptions struct {
	Names          []string    // resolve to 127.0.0.1, for the proxy alone
	Ports          []int       // to which it lets CONNECT; nil is all
	User, Password string      // Basic credentials that it wants; "" is none. tinyproxy's are of a-z, 0-9, - and .
	TLS            *Identities // clients speak TLS to it, and it has the server's certificate; squid alone can
}

// An UpstreamProxy is a real proxy of a site, for certproxy to reach the world through.
type UpstreamProxy struct {
	*Daemon
	UpstreamOptions
	Port int
	Dir  string // where it keeps its files

	asked func() []string
}

// NewSquid starts squid.
func NewSquid(t testing.TB, o UpstreamOptions) *UpstreamProxy {
	t.Helper()
	Need(t, "squid")
	p := newUpstream(t, o)
	Write(t, p.Dir, "hosts", []byte("127.0.0.1 localhost "+strings.Join(o.Names, " ")+"\n"), 0o644)
	if o.User != "" {
		Need(t, "openssl")
		hash := OK(t, Command{Args: []string{"openssl", "passwd", "-6", "-stdin"}, Input: o.Password + "\n"})
		Write(t, p.Dir, "passwords", []byte(o.User+":"+hash), 0o644)
	}
	if o.TLS != nil {
		Write(t, p.Dir, "squid.pem", append(o.TLS.Server.ChainPEM(), o.TLS.Server.KeyPEM()...), 0o644)
	}
	config := render(t, p.Dir, "squid.conf", p)
	log := filepath.Join(p.Dir, "access.log")
	p.asked = func() []string {
		data, err := os.ReadFile(log)
		if err != nil {
			return nil // nothing was asked so far
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	// Root cannot run it: it becomes a user who can write neither here nor to its output.
	var user uint32
	if os.Geteuid() == 0 {
		user = 65534
		if err := os.Chown(p.Dir, int(user), int(user)); err != nil {
			t.Fatal(err)
		}
	}
	p.Daemon = Start(t, Process{
		// A name of its own, for its shared memory is named for it.
		Args: []string{"squid", "-N", "-n", fmt.Sprintf("certproxy%d", p.Port), "-f", config},
		Port: p.Port,
		Logs: []string{filepath.Join(p.Dir, "cache.log"), log},
		User: user,
	})
	return p
}

// NewTinyproxy starts tinyproxy.
func NewTinyproxy(t testing.TB, o UpstreamOptions) *UpstreamProxy {
	t.Helper()
	Need(t, "tinyproxy")
	needNamespaces(t)
	if o.TLS != nil {
		t.Fatal("tinyproxy does not speak TLS")
	}
	p := newUpstream(t, o)
	config := render(t, p.Dir, "tinyproxy.conf", p)
	// "CONNECT   Nov 25 04:44:36.347 [19535]: Request (file descriptor 4): GET http://host/ HTTP/1.1"
	request := regexp.MustCompile(`Request \(file descriptor \d+\): (\S+ \S+)`)
	p.asked = func() []string {
		var asked []string
		for _, m := range request.FindAllStringSubmatch(p.Log(), -1) {
			asked = append(asked, m[1])
		}
		return asked
	}
	p.Daemon = Start(t, Process{
		Args: resolving(t, p.Dir, o.Names, []string{"tinyproxy", "-d", "-c", config}),
		Port: p.Port,
	})
	p.name = "tinyproxy"
	return p
}

func newUpstream(t testing.TB, o UpstreamOptions) *UpstreamProxy {
	return &UpstreamProxy{UpstreamOptions: o, Port: Port(t), Dir: Dir(t)}
}

// URL is what certproxy calls upstream_proxy, with the credentials.
func (p *UpstreamProxy) URL() string {
	u := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", p.Port)}
	if p.TLS != nil {
		u.Scheme = "https"
	}
	if p.User != "" {
		u.User = url.UserPassword(p.User, p.Password)
	}
	return u.String()
}

// WaitAsked waits until the log has a request, such as "CONNECT host:443" or "GET
// http://host/". squid writes it when it is over.
func (p *UpstreamProxy) WaitAsked(t testing.TB, request string) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s logs %q", p.name, request), func() bool {
		for _, asked := range p.asked() {
			if asked == request {
				return true
			}
		}
		return false
	})
}
