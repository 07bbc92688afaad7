package bench

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// reference is what has nothing between client and origin, ours is what this is about.
const (
	reference = "direct"
	ours      = "certproxy"
)

// A subject is one way of getting the client certificate to the origin.
type subject struct {
	name    string
	http2   bool     // it speaks it to clients
	tunnels bool     // it carries bytes untouched where it has no certificate to add
	missing string   // the command that installs it; "" if it is there
	version []string // the command that prints its version
	start   func(testing.TB, *origin) way
}

func subjects(t testing.TB) []subject {
	return []subject{
		{name: reference, http2: true, tunnels: true, start: direct},
		{name: ours, http2: true, tunnels: true, start: startCertproxy, version: []string{rig.Binary(t), "version"}},
		{name: "nginx", http2: true, start: startReverse, version: []string{"nginx", "-v"}},
		{name: "squid", tunnels: true, start: startSquid, version: []string{"squid", "-v"}, missing: squidMissing()},
	}
}

// firstLine is what a command says first, be it on standard error.
func firstLine(t testing.TB, command []string) string {
	t.Helper()
	said := rig.Run(t, rig.Command{Args: command})
	line, _, _ := strings.Cut(said.Stdout+said.Stderr, "\n")
	return line
}

// A way leads from a client to the origin.
type way struct {
	url   string
	proxy *url.URL // nil is none
	roots *x509.CertPool
	pair  []tls.Certificate // what the client presents itself
	pid   int               // of the proxy; 0 is none
}

// direct is a client that presents the pair itself.
func direct(_ testing.TB, o *origin) way {
	return way{url: "https://" + authority(o.Port), roots: o.CA.Pool(), pair: []tls.Certificate{o.Good.TLS()}}
}

// tunnelled is the way to the host that the proxy does not intercept.
func (w way) tunnelled(t testing.TB, o *origin) way {
	end := direct(t, o)
	end.url = "https://" + authority(o.Unlisted)
	end.proxy, end.pid = w.proxy, w.pid
	return end
}

func proxyURL(port int) *url.URL { return &url.URL{Scheme: "http", Host: authority(port)} }

// startCertproxy does not use [rig.Serve], which logs each request and counts the
// lines.
func startCertproxy(t testing.TB, o *origin) way {
	t.Helper()
	dir, port := rig.Dir(t), rig.Port(t)
	certs, state := filepath.Join(dir, "certs.d"), filepath.Join(dir, "state")
	o.HostDir(certs, authority(o.Port), o.Good)
	d := rig.Start(t, rig.Process{
		Args: []string{rig.Binary(t), "serve", "--listen", authority(port), "--certs", certs, "--state", state, "--log-level", "warn"},
		Port: port,
	})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(rig.Read(t, filepath.Join(state, "ca.crt"))) {
		t.Fatal("certproxy's ca.crt holds no certificate")
	}
	return way{url: "https://" + authority(o.Port), proxy: proxyURL(port), roots: roots, pid: d.PID()}
}

// startReverse is nginx with a certificate for clients and the pair for the origin.
func startReverse(t testing.TB, o *origin) way {
	t.Helper()
	dir, port := rig.Dir(t), rig.Port(t)
	d := startNginx(t, dir, port, "nginx.conf", struct {
		Dir    string
		Port   int
		Origin *origin
	}{dir, port, o})
	return way{url: "https://" + authority(port), roots: o.CA.Pool(), pid: d.PID()}
}
