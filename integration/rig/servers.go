package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// A Server is a real server that wants a client certificate.
type Server struct {
	Port int
	At   string // the address it listens on, for those that can be told; "" is 127.0.0.1
	// TLS is "1.2" or "1.3" to speak only that; "" leaves the server's default.
	TLS string
	*Identities
	Echo   *Echo  // behind it, where it is a proxy
	Behind int    // port of the registry behind it, where it is a proxy for one
	Dir    string // where it keeps its files
}

func newServer(t testing.TB, id *Identities, tls string) *Server {
	return &Server{Port: Port(t), TLS: tls, Identities: id, Dir: Dir(t)}
}

// NginxRequire is nginx with ssl_verify_client on, which answers 400 to a
// certificate it does not accept, in front of an [Echo].
func NginxRequire(t testing.TB, id *Identities, tls string) *Server {
	s := newServer(t, id, tls)
	s.Echo = NewEcho(t)
	s.nginx(t, nil, "nginx-require.conf")
	return s
}

// NginxStatuses is nginx that answers by the certificate's name: 403 to pair-a and to none,
// 404 to pair-b, 503 to pair-c, 200 to pair-d.
func NginxStatuses(t testing.TB, id *Identities) *Server {
	s := newServer(t, id, "")
	s.nginx(t, nil, "nginx-statuses.conf")
	return s
}

// NginxNames is nginx that answers 200 with the certificate's subject, and 403 to none.
func NginxNames(t testing.TB, id *Identities) *Server { return NginxNamesIn(t, nil, id) }

// NginxNamesIn is [NginxNames] in a network.
func NginxNamesIn(t testing.TB, in *Network, id *Identities) *Server {
	t.Helper()
	s := newServer(t, id, "")
	s.nginx(t, in, "nginx-names.conf")
	return s
}

// NginxFiles is nginx with ssl_verify_client on, which serves the files below the
// directory files of its Dir.
func NginxFiles(t testing.TB, id *Identities) *Server { return NginxFilesIn(t, nil, id) }

// NginxFilesIn is [NginxFiles] in a network.
func NginxFilesIn(t testing.TB, in *Network, id *Identities) *Server {
	t.Helper()
	return NginxFilesAt(t, in, Port(t), id)
}

// NginxFilesAt is [NginxFiles] in a network, at a port there.
func NginxFilesAt(t testing.TB, in *Network, port int, id *Identities) *Server {
	t.Helper()
	s := &Server{Port: port, Identities: id, Dir: Dir(t)}
	if err := os.Mkdir(filepath.Join(s.Dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.nginx(t, in, "nginx-files.conf")
	return s
}

func (s *Server) nginx(t testing.TB, in *Network, config string) {
	t.Helper()
	Need(t, "nginx")
	file := render(t, s.Dir, config, s)
	Start(t, Process{
		Args: []string{"nginx", "-e", "stderr", "-p", s.Dir, "-c", file},
		In:   in,
		Port: s.Port,
		Logs: []string{s.AccessLog()},
	})
}

// AccessLog is the file to which the server writes a line per request.
func (s *Server) AccessLog() string { return filepath.Join(s.Dir, "access.log") }

// ApacheRequire is Apache with SSLVerifyClient require, which ends the handshake
// with an alert, in front of an [Echo].
func ApacheRequire(t testing.TB, id *Identities, tls string) *Server {
	s := newServer(t, id, tls)
	s.Echo = NewEcho(t)
	apache(t, nil, render(t, s.Dir, "apache-require.conf", s))
	return s
}

// ApacheLocation is Apache with SSLVerifyClient require below /secret alone: it asks
// for a certificate once it has read the request, by renegotiation, which TLS 1.3
// has as post-handshake authentication. It is in front of an [Echo].
func ApacheLocation(t testing.TB, id *Identities, tls string) *Server {
	s := newServer(t, id, tls)
	s.Echo = NewEcho(t)
	apache(t, nil, render(t, s.Dir, "apache-location.conf", s))
	return s
}

// HAProxyRequire is HAProxy with verify required, in front of an [Echo].
func HAProxyRequire(t testing.TB, id *Identities, tls string) *Server {
	t.Helper()
	Need(t, "haproxy")
	s := newServer(t, id, tls)
	s.Echo = NewEcho(t)
	Start(t, Process{Args: []string{"haproxy", "-db", "-f", render(t, s.Dir, "haproxy.cfg", s)}, Port: s.Port})
	return s
}

// Registry is docker-registry with clientcas. It cannot be told to speak only
// TLS 1.2: "" is 1.2 and 1.3.
func Registry(t testing.TB, id *Identities, tls string) *Server { return RegistryIn(t, nil, id, tls) }

// RegistryIn is [Registry] in a network.
func RegistryIn(t testing.TB, in *Network, id *Identities, tls string) *Server {
	t.Helper()
	Need(t, "docker-registry")
	s := newServer(t, id, tls)
	Start(t, Process{Args: []string{"docker-registry", "serve", render(t, s.Dir, "registry.yml", s)}, In: in, Port: s.Port})
	return s
}

// RegistryAt is [Registry] in a network, at an address and a port there.
func RegistryAt(t testing.TB, in *Network, address string, port int, id *Identities) *Server {
	t.Helper()
	Need(t, "docker-registry")
	s := &Server{Port: port, At: address, Identities: id, Dir: Dir(t)}
	Start(t, Process{Args: []string{"docker-registry", "serve", render(t, s.Dir, "registry.yml", s)}, In: in, Port: s.Port})
	return s
}

// apache runs Apache until the test ends.
func apache(t testing.TB, in *Network, config string) {
	t.Helper()
	Need(t, "apache2")
	dir := filepath.Dir(config)
	Start(t, Process{
		Args: []string{"apache2", "-f", config, "-DFOREGROUND"},
		In:   in,
		// It listens, reads its configuration once more, and listens again.
		Ready: func(string) bool {
			_, err := os.Stat(filepath.Join(dir, "httpd.pid"))
			return err == nil
		},
		Logs: []string{filepath.Join(dir, "error.log"), filepath.Join(dir, "access.log")},
	})
}

// ApacheDocumentation is Apache as Docker's documentation sets it up: the fragment
// and the CGI script are the files given, the registry tree below /v1 is made of
// files by path.
func ApacheDocumentation(t testing.TB, in *Network, port int, id *Identities, fragment, cgi string, files map[string][]byte) *Server {
	t.Helper()
	s := &Server{Port: port, Identities: id, Dir: Dir(t)}
	Write(t, s.Dir, "registry.conf", Read(t, fragment), 0o644)
	Write(t, s.Dir, "cgi-bin/cert.cgi", Read(t, cgi), 0o755)
	if err := os.Mkdir(filepath.Join(s.Dir, "htdocs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		Write(t, s.Dir, filepath.Join("htdocs/v1", name), data, 0o644)
	}
	apache(t, in, render(t, s.Dir, "apache-documentation.conf", s))
	return s
}
