package upstreamproxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// Real proxies, as sites have them, that let us through and refuse what they should.
func TestRealProxiesAreUnderstood(t *testing.T) {
	ca := throwaway.NewCA("the site's CA")
	host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	host.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(throwaway.Options{Hosts: []string{"0.0.0.0"}}).TLS()}}
	host.StartTLS()
	t.Cleanup(host.Close)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Via")+r.Header.Get("Proxy-Authorization"))
	}))
	t.Cleanup(plain.Close)
	plainPort := plain.Listener.Addr().(*net.TCPAddr).Port
	port, nothing := host.Listener.Addr().(*net.TCPAddr).Port, freePort(t)
	for _, c := range []struct {
		name             string
		start            func(t *testing.T, o real) (addr string)
		scheme, password string // with "user", as it is written in a URL
	}{
		{"squid", startSquid, "http", ""},
		{"squid with credentials", startSquid, "http", "p%40ss%2Fw%3A%25%C3%B6%20rd"},
		{"squid over TLS", startSquid, "https", ""},
		{"squid over TLS with credentials", startSquid, "https", "p%40ss%2Fw%3A%25%C3%B6%20rd"},
		{"tinyproxy", startTinyproxy, "http", ""},
		{"tinyproxy with credentials", startTinyproxy, "http", "s3cret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // squid takes two seconds to end
			addr := c.start(t, real{allowed: []int{port, nothing, plainPort}, credentials: c.password != "", tls: c.scheme == "https", ca: ca})
			with := func(credentials string) *Dialer {
				return newDialer(t, Config{URL: c.scheme + "://" + credentials + addr, RootCAs: ca.Pool()})
			}
			d := with("")
			if c.password != "" {
				d = with("user:" + c.password + "@")
				for wrong, hint := range map[string]string{"": "put credentials into", "user:wrong@": "correct the credentials"} {
					_, err := with(wrong).DialContext(soon(t), "tcp", fmt.Sprintf("0.0.0.0:%d", port))
					if e := fails(t, err, ErrRefused, addr); !strings.HasPrefix(e.Hint, hint) {
						t.Errorf("with credentials %q: %v; want %q", wrong, err, hint)
					}
				}
			}

			// Linux connects 0.0.0.0 to loopback, which by its own name no proxy is asked for.
			conn, err := d.DialContext(soon(t), "tcp", fmt.Sprintf("0.0.0.0:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, bare := conn.(*net.TCPConn); !bare && c.scheme == "http" {
				t.Errorf("the tunnel is a %T; want a *net.TCPConn", conn)
			}
			if got := post(t, conn, ca.Pool()); got != "there and back" {
				t.Errorf("through the tunnel came %q", got)
			}

			resp, err := forwarding(t, d).Get(fmt.Sprintf("http://0.0.0.0:%d/", plainPort))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			via, err := io.ReadAll(resp.Body)
			if daemon, _, _ := strings.Cut(c.name, " "); err != nil || !strings.Contains(string(via), daemon+"/") || strings.Contains(string(via), "Basic") {
				t.Errorf("a plain request came to the host with %q, %v; want the proxy's Via and no credentials", via, err)
			}

			_, err = d.DialContext(soon(t), "tcp", fmt.Sprintf("0.0.0.0:%d", freePort(t)))
			if e := fails(t, err, ErrRefused, addr); e.Status != 403 || !strings.Contains(e.Hint, "does not allow") {
				t.Errorf("to a port that it forbids: %v; want 403", err)
			}
			_, err = d.DialContext(soon(t), "tcp", fmt.Sprintf("0.0.0.0:%d", nothing))
			if e := fails(t, err, ErrRefused, addr); e.Status < 500 || !strings.Contains(e.Hint, "it could not reach the destination") {
				t.Errorf("to a port where nothing listens: %v; want 5xx", err)
			}
		})
	}
}

// post sends a request to the host at the tunnel's end, over TLS, and returns the answer.
func post(t *testing.T, conn net.Conn, roots *x509.CertPool) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	inner := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "0.0.0.0"})
	if _, err := io.WriteString(inner, "POST / HTTP/1.0\r\nContent-Length: 14\r\n\r\nthere and back"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(inner)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	return string(body)
}

// real says how a real proxy is to behave.
type real struct {
	allowed     []int // ports to which it lets CONNECT
	credentials bool  // it wants user with p@ss/w:%ö rd (squid) or s3cret (tinyproxy)
	tls         bool  // it has a certificate of ca
	ca          *throwaway.Certificate
}

func startSquid(t *testing.T, o real) string {
	dir, port := proxyDir(t), freePort(t)
	leaf := o.ca.Issue(throwaway.Options{Hosts: []string{"127.0.0.1"}})
	config := []string{
		"acl allowed port %[2]s",
		"http_access deny !allowed",
		"http_access allow all",
		"cache deny all", "access_log none", "cache_log %[1]s/cache.log", "pid_filename %[1]s/pid", "coredump_dir %[1]s",
		"netdb_filename none", "pinger_enable off", "visible_hostname squid", "max_filedescriptors 1024", "shutdown_lifetime 0 seconds",
	}
	if o.credentials {
		// The password by openssl passwd -6.
		writeFile(t, dir, "passwords", `user:$6$wTzDOpz3n4.MNKTx$.QnhALq2Ac6npBQAiWycWL7hzxuzEAiqocCnKXb7Nb3jmhOVfY8O1si5/roU5c8LC3yQ4hSQn0T0GJ5CErCAj1`+"\n")
		config = append([]string{
			"auth_param basic program /usr/lib/squid/basic_ncsa_auth %[1]s/passwords", "auth_param basic children 1",
			"acl known proxy_auth REQUIRED", "http_access deny !known",
		}, config...)
	}
	listen := "http_port 127.0.0.1:%[3]d"
	if o.tls {
		writeFile(t, dir, "squid.pem", string(leaf.ChainPEM())+string(leaf.KeyPEM()))
		listen = "https_port 127.0.0.1:%[3]d tls-cert=%[1]s/squid.pem"
	}
	text := fmt.Sprintf(strings.Join(append(config, listen, ""), "\n"), dir, strings.Trim(fmt.Sprint(o.allowed), "[]"), port)
	// A name of its own, for squid's shared memory is named for it.
	return run(t, port, filepath.Join(dir, "cache.log"), "squid", "-N", "-n", fmt.Sprintf("certproxy%d", port), "-f", writeFile(t, dir, "squid.conf", text))
}

func startTinyproxy(t *testing.T, o real) string {
	dir, port := proxyDir(t), freePort(t)
	text := fmt.Sprintf("Port %d\nListen 127.0.0.1\nMaxClients 10\nTimeout 60\nLogLevel Info\n", port)
	for _, allowed := range o.allowed {
		text += fmt.Sprintf("ConnectPort %d\n", allowed)
	}
	if o.credentials {
		text += "BasicAuth user s3cret\n"
	}
	return run(t, port, "", "tinyproxy", "-d", "-c", writeFile(t, dir, "tinyproxy.conf", text))
}

// nobody runs the proxies where root runs the tests: squid refuses to be root.
const nobody = 65534

// run runs a proxy until the test ends, and returns its address once it listens there.
func run(t *testing.T, port int, log string, args ...string) string {
	t.Helper()
	if err := exec.Command(args[0], "-v").Run(); err != nil {
		t.Skipf("PREREQUISITE MISSING: %v; run integration/setup.sh as root", err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is told by what it printed
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(patience):
			t.Errorf("%s does not end", args[0])
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		if t.Failed() {
			more, _ := os.ReadFile(log)
			t.Logf("%s printed:\n%s%s", args[0], out.String(), more)
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return addr
		}
		select {
		case <-done:
			t.Fatalf("%s ended at once", args[0])
		default:
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) > patience {
			t.Fatal(err)
		}
	}
}

// proxyDir is a directory for the user that proxies run as.
func proxyDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cp-") //nolint:usetesting // that user cannot enter t.TempDir's parent
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// freePort returns a port that the kernel gives to nobody else for a minute, for it is
// in TIME_WAIT, and that a listener may still bind.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	return l.Addr().(*net.TCPAddr).Port
}
