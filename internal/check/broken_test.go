package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/throwaway"
	"github.com/certproxy/certproxy/proxy"
)

func TestOnAMachineOnWhichAllIsWellNothingIsWrong(t *testing.T) {
	for _, ask := range []string{"", "host", "host/team/app:1"} {
		t.Run("check "+ask, func(t *testing.T) {
			s := newScene(t)
			s.ask = strings.Replace(ask, "host", s.host, 1)
			r := s.check()
			s.wellFormed(r)
			for _, f := range r.Findings {
				if f.Level != OK {
					t.Errorf("%v", f)
				}
			}
			if !r.OK {
				t.Error("it is not ok")
			}
		})
	}
}

// Each breaks one thing, and what is wrong and what to do must come first.
func TestTheCauseAndItsCureComeFirst(t *testing.T) {
	var said []string // by every one of them
	quick := func(s *scene) { s.o.Timeout = 300 * time.Millisecond }
	for _, test := range []struct {
		name    string
		change  func(*scene)
		level   Level // Error where it is empty
		text    string
		fix     string // both regular expressions; {dir}, {host}, {port} and {root} stand for themselves
		general bool   // without a host
	}{
		// The directory.
		{name: "wrong directory name", change: func(s *scene) { s.rename(s.host, "registry.example_"+s.port()) },
			text: "is not used for {host}", fix: "^mv {root}/registry.example_{port} {dir}$"},
		{name: "a letter is wrong in it", change: func(s *scene) { s.rename(s.host, "regsitry.example:"+s.port()) },
			text: "differs by a letter or two", fix: "^mv {root}/regsitry.example:{port} {dir}$"},
		{name: "cert.d", change: func(s *scene) { s.rename(".", "../cert.d") },
			text: "cert.d is not read: the root is called certs.d", fix: "^mv .*/etc/cert.d/{host} {dir}$"},
		{name: "cert.d, seen from afar", general: true, change: func(s *scene) { s.rename(".", "../cert.d") },
			text: "directory name is misspelt", fix: "^mv .*/etc/cert.d {root}$"},
		{name: "port without directory", change: func(s *scene) { s.rename(s.host, "registry.example") },
			text: "a name without a port is for port 443 alone, not for {port}", fix: "^mv {root}/registry.example {dir}$"},
		{name: "directory for another port", change: func(s *scene) { s.rename(s.host, "registry.example:5000") },
			text: "it is for port 5000, not for {port}", fix: "^mv {root}/registry.example:5000 {dir}$"},
		{name: "no directory", change: func(s *scene) { _ = os.RemoveAll(s.dir); s.system.AddCert(s.pki.X509) },
			text: "the server asks for a client certificate, and the host has no directory", fix: "(?s)^mkdir -p {dir}\n.*client.key$"},
		{name: "parent domain", change: func(s *scene) { s.rename(s.host, "example:"+s.port()); s.system.AddCert(s.pki.X509) },
			text: "the server asks for a client certificate, and the host has no directory", fix: "^mkdir -p {dir}"},
		{name: "empty directory", change: func(s *scene) {
			_ = os.RemoveAll(s.dir)
			_ = os.Mkdir(s.dir, 0o755)
			s.system.AddCert(s.pki.X509)
		}, text: "the server asks for a client certificate, and the host's directory is empty", fix: "(?s)^cp CLIENT.pem {dir}/client.cert\n.*{dir}/client.key$"},
		// The files.
		{name: "unusable directory", change: func(s *scene) { _ = os.Remove(filepath.Join(s.dir, "client.key")) },
			text: "certificate without a key", fix: "^install -m 600 CLIENT-KEY.pem {dir}/client.key$"},
		{name: "tls.crt names", change: func(s *scene) {
			s.rename(s.host+"/client.cert", s.host+"/tls.crt")
			s.rename(s.host+"/client.key", s.host+"/tls.key")
		}, text: "tls.crt and tls.key are not read as a pair", fix: "^mv {dir}/tls.crt {dir}/client.cert && mv {dir}/tls.key {dir}/client.key$"},
		{name: "pem names", change: func(s *scene) {
			s.rename(s.host+"/client.cert", s.host+"/client.pem")
			s.rename(s.host+"/client.key", s.host+"/client-key.pem")
		}, text: "file name extension is not read", fix: "^mv {dir}/client-key.pem {dir}/client.key$"},
		{name: "upper case names", change: func(s *scene) {
			s.rename(s.host+"/client.cert", s.host+"/client.CERT")
			s.rename(s.host+"/client.key", s.host+"/client.KEY")
		}, text: "file name extension is not read", fix: "^mv {dir}/client.CERT {dir}/client.cert$"},
		{name: "key mismatch", change: func(s *scene) { s.write("client.key", throwaway.NewCA("x").KeyPEM(), 0o600) },
			text: "key does not match the certificate", fix: "^openssl x509 -pubkey -noout -in {dir}/client.cert\nopenssl pkey -pubout -in {dir}/client.key$"},
		{name: "encrypted key", change: func(s *scene) {
			s.write("client.key", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600)
		}, text: "key is encrypted", fix: `^\(umask 077; openssl pkey -in {dir}/client.key -out {dir}/client.key.plain\) && mv {dir}/client.key.plain {dir}/client.key$`},
		{name: "key mode", level: Warning, general: true, change: func(s *scene) { _ = os.Chmod(filepath.Join(s.dir, "client.key"), 0o644) },
			text: "key can be read by other users", fix: "^chmod o-rwx {dir}/client.key$"},
		{name: "key mode, for the proxy's user", change: func(s *scene) { s.disown() },
			text: "the running proxy cannot read it: mode 0600, owner .*, and it runs as .*65534", fix: "^sudo setfacl -m u:65534:r {dir}/client.key$"},
		// The way there.
		{name: "name not resolving", change: func(s *scene) {
			delete(s.where, s.host)
			s.rename(s.host, "registry.invalid:5000")
			s.ask = "registry.invalid:5000"
		}, text: "the name registry.invalid (does not resolve|could not be resolved in time)", fix: "^getent hosts registry.invalid$"},
		{name: "connection refused", change: func(s *scene) { s.where[s.host] = closed(s.t) },
			text: "{host} refuses connections", fix: "^nc -vz registry.example {port}$"},
		{name: "hanging handshake", change: func(s *scene) { quick(s); s.where[s.host] = silent(s.t, "") },
			text: "did not finish the TLS handshake in time", fix: "^curl -vk .*https://{host}/$"},
		{name: "hanging server", change: func(s *scene) {
			quick(s)
			s.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, text: "did not answer in time", fix: "^curl -vk .*https://{host}/$"},
		{name: "old TLS", change: func(s *scene) { s.server.TLS.MinVersion, s.server.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
			text: "{host} speaks no TLS 1.2 or newer", fix: "^openssl s_client -connect {host} -servername registry.example </dev/null$"},
		{name: "TLS 1.2, refused in the handshake", change: func(s *scene) {
			s.server.TLS.MaxVersion = tls.VersionTLS12
			s.replace(throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "alice"}))
		}, text: "its issuer is CN=Other CA, and the server accepts certificates of CN=Corp CA", fix: "^openssl x509"},
		{name: "plain HTTP", change: func(s *scene) { s.where[s.host] = silent(s.t, "HTTP/1.1 400 Bad Request\r\n\r\n") },
			text: "{host} does not speak TLS", fix: "^curl -v .*http://{host}/$"},
		{name: "the site's proxy is down", change: func(s *scene) { s.o.Proxy.UpstreamProxy = "http://user:hunter2@" + closed(s.t) },
			text: "upstream proxy 127.0.0.1:[0-9]+ cannot be reached", fix: "check that it runs, and that upstream_proxy is right"},
		{name: "the site's proxy hangs", change: func(s *scene) {
			quick(s)
			s.env["HTTP_PROXY"], s.o.Proxy.UpstreamProxy = "", "http://"+silent(s.t, "")
		}, text: "upstream proxy 127.0.0.1:[0-9]+ gave no answer to CONNECT {host}: timed out", fix: "look at its log and load"},
		// Its certificate.
		{name: "wrong server CA", change: func(s *scene) { s.certificate(throwaway.NewCA("Other CA"), throwaway.Options{}) },
			text: "issued by CN=Other CA, which is not among the CA roots (CN=Corp CA in {dir}/ca.crt, those of the system)", fix: "^cp CA.pem {dir}/ca.crt"},
		{name: "server CA renewed", change: func(s *scene) { s.certificate(throwaway.NewCA("Corp CA"), throwaway.Options{}) },
			text: "has another key: the CA was renewed", fix: "^cp CA.pem {dir}/ca.crt"},
		{name: "no server CA", change: func(s *scene) { _ = os.Remove(filepath.Join(s.dir, "ca.crt")) },
			text: "issued by CN=Corp CA, which is not trusted here: the CA roots are those of the system", fix: "^cp CA.pem {dir}/ca.crt"},
		{name: "self-signed server", change: func(s *scene) {
			self := throwaway.SelfSigned(throwaway.Options{Name: "self", Hosts: []string{"registry.example"}}).TLS()
			s.server.TLS.Certificates = []tls.Certificate{self}
		}, text: "is self-signed, and it is not among the CA roots", fix: "(?s)^mkdir -p {dir}\nopenssl s_client -connect {host} .*> {dir}/ca.crt$"},
		{name: "missing intermediate", change: func(s *scene) {
			between := s.pki.Issue(throwaway.Options{Name: "Corp Issuing CA", CA: true, Usage: []x509.ExtKeyUsage{}})
			s.certificate(between, throwaway.Options{})
			s.server.TLS.Certificates[0].Certificate = s.server.TLS.Certificates[0].Certificate[:1]
		}, text: "an intermediate certificate is missing from what the server sends", fix: "CA.pem is the certificate of CN=Corp Issuing CA"},
		{name: "another chain", change: func(s *scene) {
			other := throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "Other Issuing CA", CA: true, Usage: []x509.ExtKeyUsage{}})
			s.certificate(other, throwaway.Options{})
		}, text: "its chain leads to CN=Other CA", fix: "CA.pem is the certificate of CN=Other CA"},
		{name: "name not in the server's certificate", change: func(s *scene) { s.certificate(s.pki, throwaway.Options{Hosts: []string{"other.example"}}) },
			text: "the name registry.example is not in the server's certificate, which is for other.example", fix: "^certproxy check other.example:{port}$"},
		{name: "server certificate expired", change: func(s *scene) {
			s.certificate(s.pki, throwaway.Options{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
		}, text: "the server's certificate (CN=server) has expired: it ended at", fix: "^timedatectl$"},
		{name: "server certificate not for servers", change: func(s *scene) {
			s.certificate(s.pki, throwaway.Options{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		}, text: "is not meant for servers", fix: "serverAuth"},
		// The pairs.
		{name: "expired", change: func(s *scene) {
			s.replace(s.pki.Issue(throwaway.Options{Name: "alice", NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}))
		}, text: "the certificate has expired: it ended at", fix: "put a new pair in place of {dir}/client.cert"},
		{name: "not yet valid", change: func(s *scene) {
			s.replace(s.pki.Issue(throwaway.Options{Name: "alice", NotBefore: time.Now().Add(24 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour)}))
		}, text: "certificate is not valid yet", fix: "^timedatectl$"},
		{name: "wrong EKU", change: func(s *scene) {
			s.replace(s.pki.Issue(throwaway.Options{Name: "alice", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}))
		}, text: "its extended key usage has no clientAuth", fix: "extendedKeyUsage = clientAuth"},
		{name: "intermediate missing from the pair", change: func(s *scene) {
			between := s.pki.Issue(throwaway.Options{Name: "Corp Clients CA", CA: true, Usage: []x509.ExtKeyUsage{}})
			alice := between.Issue(throwaway.Options{Name: "alice"})
			alice.WritePair(s.dir, "client")
			s.write("client.cert", alice.CertPEM(), 0o644)
			between.WriteRoot(s.dir, "between")
		}, text: "intermediate certificate is missing from the chain", fix: "^cat INTERMEDIATE.pem >> {dir}/client.cert$"},
		{name: "client cert not among acceptable CAs", change: func(s *scene) { s.replace(throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "alice"})) },
			text: "its issuer is CN=Other CA, and the server accepts certificates of CN=Corp CA", fix: "have a certificate issued by one of those"},
		{name: "all pairs 403", change: func(s *scene) {
			s.pki.Issue(throwaway.Options{Name: "bob"}).WritePair(s.dir, "second")
			s.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		}, text: "403: the server knows the certificate and does not let CN=alice do this", fix: "^openssl x509 -noout -subject .* -in {dir}/client.cert$"},
		{name: "nginx 400", change: func(s *scene) {
			s.serve(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, "<html><head><title>400 The SSL certificate error</title></head>")
			})
		}, text: "400 (nginx: client certificate): the server could not verify the certificate", fix: "^openssl x509"},
		{name: "404 with the right pair", change: func(s *scene) {
			s.ask = s.host + "/team/app:1.2"
			s.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
		}, text: "GET /v2/team/app/manifests/1.2 with pair client answers 404 Not Found: the pair was let in, and there is nothing at the path", fix: "check the spelling"},
		{name: "server never asks", level: Warning, change: func(s *scene) { s.server.TLS.ClientAuth = tls.NoClientCert },
			text: "the server never asked for a client certificate", fix: "ssl_verify_client"},
		{name: "server never asks, and refuses", change: func(s *scene) {
			s.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
			s.server.TLS.ClientAuth = tls.NoClientCert
		}, text: "answers 403 Forbidden, and the server never asked for a client certificate", fix: "look for what ends TLS"},
		{name: "roots but no pair", change: func(s *scene) {
			_, _ = os.Remove(filepath.Join(s.dir, "client.cert")), os.Remove(filepath.Join(s.dir, "client.key"))
		}, text: `the server wants a client certificate \(alert 116 \(certificate required\)\), and {dir} holds no pair`, fix: "client.cert"},
		// This machine.
		{name: "CA not trusted", change: func(s *scene) { s.untrusted() }, text: "does not trust the local CA", fix: "certproxy trust install --state "},
		{name: "CA not trusted, seen from afar", general: true, change: func(s *scene) { s.untrusted() }, text: "does not trust the local CA", fix: "certproxy trust install --state "},
		{name: "CA key exposed", general: true, change: func(s *scene) { _ = os.Chmod(filepath.Join(s.state, "ca.key"), 0o644) },
			text: "the local CA cannot be used: key can be read by other users", fix: "^chmod 600 [^ ]+/ca.key$"},
		{name: "CA ends soon", level: Warning, general: true, change: func(s *scene) {
			own := throwaway.SelfSigned(throwaway.Options{Name: "ours", CA: true, Usage: []x509.ExtKeyUsage{}, NotAfter: time.Now().AddDate(0, 0, 30)})
			s.system.AddCert(own.X509)
			for name, data := range map[string][]byte{"ca.crt": own.CertPEM(), "ca.key": own.KeyPEM()} {
				_ = os.Remove(filepath.Join(s.state, name))
				_ = os.WriteFile(filepath.Join(s.state, name), data, 0o600)
			}
		}, text: "the local CA ends at .*, in (29|30) days", fix: "(?s)^mkdir -p .*\ncertproxy ca init --state "},
		{name: "state directory of everybody", general: true, change: func(s *scene) { _ = os.Chmod(s.state, 0o777) },
			text: "others than its owner may write to the state directory", fix: "^chmod 700 "},
		{name: "proxy not running", change: func(s *scene) { s.elsewhere(closed(s.t)) },
			text: "no proxy is running: connections are refused", fix: "^certproxy serve &$"},
		{name: "proxy not running, seen from afar", general: true, change: func(s *scene) { s.elsewhere(closed(s.t)) },
			text: "no proxy is running", fix: "^certproxy serve &$"},
		{name: "another program in its place", change: func(s *scene) {
			s.elsewhere(silent(s.t, "HTTP/1.1 200 OK\r\nServer: squid\r\nContent-Length: 0\r\n\r\n"))
		},
			text: `another program has the proxy's address: it says 200 OK \(squid\)`, fix: "^ss -ltnp"},
		{name: "no unix socket", change: func(s *scene) {
			s.o.Listeners = []string{"unix:" + filepath.Join(s.t.TempDir(), "none.sock")}
			delete(s.env, "HTTPS_PROXY")
		}, text: "no proxy is running: there is no such socket", fix: "^certproxy serve &$"},
		{name: "proxy that hangs", change: func(s *scene) { quick(s); s.elsewhere(silent(s.t, "")) },
			text: "another program has the proxy's address", fix: "^ss -ltnp"},
		{name: "proxy with another state directory", change: func(s *scene) {
			s.o.State = filepath.Join(s.t.TempDir(), "state")
			s.create(s.o.State)
		}, text: "the running proxy does not show a certificate of the local CA", fix: "^ps "},
		{name: "proxy with other roots", change: func(s *scene) { s.elsewhere(tunnelling(s.t, s.dial)) },
			text: "the running proxy tunnels {host}: it does not read {dir}", fix: "^ps "},
		{name: "CA of another user's proxy, not trusted", change: func(s *scene) {
			s.untrusted()
			s.o.State = filepath.Join(s.t.TempDir(), "none")
		}, text: "the system does not trust the certificate that the running proxy shows", fix: "certproxy trust install"},
		{name: "proxy that refuses this user", change: func(s *scene) {
			s.elsewhere(refusing(s.t, s.dial))
		}, text: "the running proxy refuses: this user may not", fix: "^start certproxy with --allow-user$"},
		{name: "HTTPS_PROXY not set", level: Warning, change: func(s *scene) { delete(s.env, "HTTPS_PROXY") },
			text: "it is not set here", fix: "^export HTTPS_PROXY=http://127.0.0.1:[0-9]+ https_proxy=http://127.0.0.1:[0-9]+$"},
		{name: "HTTPS_PROXY elsewhere", level: Warning, general: true, change: func(s *scene) { s.env["HTTPS_PROXY"] = "http://user:hunter2@squid.example:3128" },
			text: "it names another proxy, squid.example:3128", fix: "^export HTTPS_PROXY="},
		{name: "NO_PROXY excludes host", change: func(s *scene) { s.env["NO_PROXY"] = "localhost,.example,10.0.0.0/8" },
			text: "it excludes {host}", fix: "^export NO_PROXY=localhost,10.0.0.0/8$"},
		{name: "NO_PROXY excludes a host, seen from afar", general: true, change: func(s *scene) { s.env["no_proxy"] = "registry.example" },
			text: "it excludes {host}", fix: "^export no_proxy=''$"},
		{name: "dockerd without the proxy", level: Note, general: true, change: func(s *scene) {
			file := filepath.Join(s.o.Machine, "usr/bin/dockerd")
			_ = os.MkdirAll(filepath.Dir(file), 0o755)
			_ = os.WriteFile(file, nil, 0o755)
		}, text: "no proxy is set for it", fix: "(?s)HTTPS_PROXY=http://127.0.0.1:.*systemctl restart docker$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(t, test.change)
			if test.general {
				s.ask = ""
			}
			began := time.Now()
			r := s.check()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			s.wellFormed(r)
			for _, f := range r.Findings {
				said = append(said, f.Text)
			}
			first := r.Findings[0]
			if test.level == "" {
				test.level = Error
			}
			if first.Level != test.level {
				t.Errorf("the first finding is no %s: %v", test.level, first)
			}
			if r.OK != (test.level != Error) {
				t.Errorf("ok is %v", r.OK)
			}
			for what, want := range map[string]string{first.Text: test.text, first.Fix + "\x00" + first.Advice: test.fix} {
				if !s.matches(what, want) {
					t.Errorf("the first finding is not about it:\n%v\nwant %q", first, want)
				}
			}
		})
	}
	t.Run("troubleshooting.md", func(t *testing.T) { documented(t, append(said, whatClientsSay(t)...)) })
}

func TestListenersOfEveryKindAreFound(t *testing.T) {
	s := newScene(t)
	socket := filepath.Join(t.TempDir(), "p.sock")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secured := tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{s.pki.Issue(throwaway.Options{Name: "proxy"}).TLS()}})
	serveProxy(t, s.dial, nil, unix)
	serveProxy(t, s.dial, nil, secured)
	s.ask, s.env["HTTPS_PROXY"] = "", "https://"+tcp.Addr().String()
	s.o.Listeners = []string{"unix:" + socket, "tls:" + tcp.Addr().String()}
	r := s.check()
	s.wellFormed(r)
	found := 0
	for _, f := range r.Findings {
		if f.Text == "a certproxy is running here" {
			found++
		}
	}
	if !r.OK || found != 2 {
		t.Errorf("found %d of 2; ok %v", found, r.OK)
	}
	delete(s.env, "HTTPS_PROXY")
	if r := s.check(); r.Findings[0].Fix != "export HTTPS_PROXY=https://"+tcp.Addr().String()+" https_proxy=https://"+tcp.Addr().String() {
		t.Errorf("%v", r.Findings[0])
	}
}

// Who pastes a fix and looks again at once sees what the proxy will do a moment later.
func TestAProxyThatIsAboutToReloadIsFine(t *testing.T) {
	s := newScene(t)
	authority, err := ca.Load(s.state)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.elsewhere(l.Addr().String())
	s.runProxy(l, authority, &late{live: live{s.root}, misses: 2})
	if r := s.check(); !r.OK {
		t.Errorf("%v", r.Findings[0])
	}
}

// A late index knows no host at its first look-ups.
type late struct {
	live
	misses int64
	asked  atomic.Int64
}

func (l *late) Lookup(authority string) (*certs.Host, bool) {
	if l.asked.Add(1) <= l.misses {
		return nil, false
	}
	return l.live.Lookup(authority)
}

// A drop-in of the unit, or dockerd's own file, is where a proxy is set for a daemon.
func TestADaemonThatIsToldOfTheProxyIsFine(t *testing.T) {
	for file, data := range map[string]string{
		"etc/systemd/system/docker.service.d/proxy.conf": "[Service]\nEnvironment=\"HTTPS_PROXY=http://127.0.0.1:3128\"\n",
		"etc/docker/daemon.json":                         `{"proxies": {"https-proxy": "http://127.0.0.1:3128"}}`,
	} {
		s := newScene(t)
		s.ask = ""
		for name, data := range map[string]string{"usr/bin/dockerd": "", file: data} {
			name = filepath.Join(s.o.Machine, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := s.check()
		s.wellFormed(r)
		for _, f := range r.Findings {
			if f.Level != OK {
				t.Errorf("%v", f)
			}
			if f.About == "dockerd" && f.Text != "a proxy is set for it in /"+file {
				t.Errorf("%v", f)
			}
		}
	}
}

// What a client is told is not how certproxy itself reaches hosts: HTTPS_PROXY may name
// certproxy, or the proxy of the site.
func TestTheProxyOfTheSiteIsUsedAndCertproxyItselfIsNot(t *testing.T) {
	s := newScene(t)
	if r := s.check(); r.Server.Through != "" || r.Server.Address != s.where[s.host] {
		t.Errorf("it went through %q to %s", r.Server.Through, r.Server.Address)
	}
	s.o.Proxy.UpstreamProxy = "http://user:hunter2@" + tunnelling(t, s.dial)
	r := s.check()
	s.wellFormed(r)
	if !r.OK || !strings.HasPrefix(r.Server.Through, "http://user:xxxxx@127.0.0.1:") || r.Server.Chain[0].Subject != "CN=server" {
		t.Errorf("ok %v, through %q, chain %+v", r.OK, r.Server.Through, r.Server.Chain)
	}
}

// matches reports whether a fix, its advice or a text matches a pattern.
func (s *scene) matches(text, pattern string) bool {
	names := []string{s.dir, s.host, s.root, s.port()}
	replace := func(quote func(string) string) string {
		return strings.NewReplacer("{dir}", quote(names[0]), "{host}", quote(names[1]), "{root}", quote(names[2]), "{port}", quote(names[3])).Replace(pattern)
	}
	literal, expression := replace(func(name string) string { return name }), regexp.MustCompile(replace(regexp.QuoteMeta))
	for part := range strings.SplitSeq(text, "\x00") {
		if strings.Contains(part, literal) || expression.MatchString(part) {
			return true
		}
	}
	return false
}

// certificate gives the server another one.
func (s *scene) certificate(issuer *throwaway.Certificate, o throwaway.Options) {
	o.Name = "server"
	if o.Hosts == nil {
		o.Hosts = []string{"registry.example"}
	}
	s.server.TLS.Certificates = []tls.Certificate{issuer.Issue(o).TLS()}
}

// untrusted makes the system forget the local CA, but not the proxy.
func (s *scene) untrusted() { s.o.Proxy.SystemRoots = x509.NewCertPool() }

// elsewhere moves what is expected to be the proxy.
func (s *scene) elsewhere(addr string) {
	s.o.Listeners, s.env["HTTPS_PROXY"] = []string{addr}, "http://"+addr
}

// closed returns an address that nobody listens at.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// silent returns the address of a server that says one thing, or nothing at all.
func silent(t *testing.T, says string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			if says != "" {
				_, _ = c.Read(make([]byte, 1))
				_, _ = fmt.Fprint(c, says)
			}
		}
		for _, c := range open {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

type dialFunc = func(context.Context, string, string) (net.Conn, error)

// refusing runs a proxy that lets nobody do anything, tunnelling one that tunnels all.
func refusing(t *testing.T, dial dialFunc) string   { return another(t, dial, nobody{}) }
func tunnelling(t *testing.T, dial dialFunc) string { return another(t, dial, nil) }

func another(t *testing.T, dial dialFunc, gate proxy.Gate) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveProxy(t, dial, gate, l)
	return l.Addr().String()
}

// serveProxy runs a proxy that knows no host.
func serveProxy(t *testing.T, dial dialFunc, gate proxy.Gate, l net.Listener) {
	t.Helper()
	p, err := proxy.New(proxy.Config{Index: live{t.TempDir()}, Leaves: leaves{&run{}}, SystemRoots: x509.NewCertPool(), DialContext: dial, Gate: gate})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, proxy.Door{Listener: l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type nobody struct{}

func (nobody) Arrived(net.Conn) proxy.Visitor { return nobody{} }
func (nobody) UID() (uint32, bool)            { return 0, false }
func (nobody) Name() string                   { return "" }
func (nobody) May(context.Context, proxy.Ask) *proxy.Denial {
	return &proxy.Denial{Text: "this user may not", Hint: "start certproxy with --allow-user"}
}
