package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A scriptHost is a server of a script. It may be told to be another one at the same port.
type scriptHost struct {
	listener net.Listener
	stop     func()
}

// mtlshost runs a server:
//
//	-issuer CA    whose its own certificate is; "self" is its own
//	-wants CA     whose client certificates it takes; "any", or "none" to ask for none
//	-leaf-only    it does not send the intermediates
//	-names NAME   which its certificate is for, not the host's own
//	-expired      its certificate has
//	-status CODE  of each answer, 200 otherwise
//	-plain        it speaks HTTP without TLS
//	-gone         it listens no more
//
// Named again, the same host is changed, at the same port.
func mtlshost(ts *testscript.TestScript, _ bool, args []string) {
	s, name := stageOf(ts), args[0]
	flags, issuer := flagsOf(name)
	wants := flags.String("wants", "Corp CA", "")
	leafOnly := flags.Bool("leaf-only", false, "")
	names := flags.String("names", name, "")
	expired := flags.Bool("expired", false, "")
	status := flags.Int("status", http.StatusOK, "")
	plain := flags.Bool("plain", false, "")
	gone := flags.Bool("gone", false, "")
	ts.Check(flags.Parse(args[1:]))

	host, address := s.hosts[name], "127.0.0.1:0"
	if host != nil {
		host.stop()
		address = host.listener.Addr().String()
	}
	l, err := net.Listen("tcp", address)
	ts.Check(err)
	o := throwaway.Options{Name: "server", Hosts: []string{*names}, NotAfter: validUntil()}
	if *expired {
		o.NotBefore, o.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -1)
	}
	own := throwaway.SelfSigned(o)
	if *issuer != "self" {
		own = s.ca(*issuer).Issue(o)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert}
	switch *wants {
	case "none":
		config.ClientAuth = tls.NoClientCert
	case "any":
		config.ClientAuth = tls.RequireAnyClientCert
	default:
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AddCert(s.ca(*wants).X509)
	}
	if *leafOnly {
		config.Certificates[0].Certificate = config.Certificates[0].Certificate[:1]
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil // a golden file shows the answer
		w.WriteHeader(*status)
		_, _ = io.WriteString(w, "{}\n")
	}))
	_ = server.Listener.Close()
	server.Listener, server.TLS = l, config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it refuses, that is the point
	if *plain {
		server.Start()
	} else {
		server.StartTLS()
	}
	stopped := false
	host = &scriptHost{listener: l, stop: func() {
		if !stopped {
			stopped = true
			server.Close()
		}
	}}
	s.hosts[name] = host
	ts.Defer(host.stop)
	if *gone {
		host.stop()
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv("HOST", net.JoinHostPort(name, port))
	ts.Setenv("PORT", port)
	ts.Setenv(namesVariable, ts.Getenv(namesVariable)+" "+name)
}

// startProxy runs certproxy serve, and has the system trust the CA that it makes.
func startProxy(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "certproxy"), append([]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "CERTPROXY_CERTS", "CERTPROXY_STATE", "CERTPROXY_ADMIN", "SSL_CERT_FILE", "SSL_CERT_DIR", namesVariable} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(stderr)
	addr := ""
	for addr == "" && lines.Scan() {
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			addr = line.Addr
		}
		ts.Logf("proxy: %s", lines.Text())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, stderr)
	}()
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		_ = cmd.Wait()
	})
	if addr == "" {
		ts.Fatalf("certproxy serve does not listen")
	}
	own, err := os.ReadFile(filepath.Join(ts.Getenv("CERTPROXY_STATE"), "ca.crt"))
	ts.Check(err)
	system, err := os.OpenFile(ts.Getenv("SSL_CERT_FILE"), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = system.Write(own)
	ts.Check(err)
	ts.Check(system.Close())
	ts.Setenv("CERTPROXY_LISTEN", addr)
	ts.Setenv("HTTPS_PROXY", "http://"+addr)
}
