package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// SIGTERM ends certproxy with status 0 and without a warning, once the request in
// flight has its answer.
func TestStoppingLosesNothing(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	arrived, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{id.Server.TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.CA.Pool(),
	}
	server.StartTLS()
	defer server.Close()
	certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", name, server.Listener.Addr().(*net.TCPAddr).Port)
	id.HostDir(certs, host, id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})

	answer, client := make(chan string, 1), proxy.Client(t)
	go func() { answer <- get(client, "https://"+host+"/") }()
	<-arrived
	if err := proxy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "certproxy stops accepting", func() bool {
		c, err := net.Dial("tcp4", proxy.Addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if got := <-answer; got != "200 good" {
		t.Errorf("the request in flight was answered %q; want 200 as good", got)
	}
	proxy.Stop(t)
	for _, line := range proxy.Lines("") {
		if level := line.Text("level"); level != "info" && level != "debug" {
			t.Errorf("logged while nothing was wrong: %v", line)
		}
	}
}
