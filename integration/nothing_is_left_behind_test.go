package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// After 1,000 requests that were given up at every stage, certproxy holds no
// descriptor more than before, and threads have not piled up.
func TestNothingIsLeftBehindByAbortedRequests(t *testing.T) {
	t.Parallel()
	const slow, unlisted = "slow.example.test", "unlisted.example.test"
	id := rig.NewIdentities(t, slow, unlisted)
	// Answers when the client has gone, or at the end of the test.
	gone := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/at-once" {
			return
		}
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{id.Server.TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.CA.Pool(),
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // given up handshakes are the point
	server.StartTLS()
	defer server.Close()
	defer close(gone)
	port := server.Listener.Addr().(*net.TCPAddr).Port

	certs, host := rig.Dir(t), fmt.Sprintf("%s:%d", slow, port)
	id.HostDir(certs, host, id.Wrong, id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{slow, unlisted}})
	client := proxy.Client(t)

	// The state to come back to: everything used once, idle connections closed.
	settle := func() (descriptors, threads int) {
		if got := get(client, "https://"+host+"/at-once"); got != "200 " {
			t.Fatalf("certproxy does not serve: %s", got)
		}
		client.CloseIdleConnections()
		server.CloseClientConnections()
		return descriptorsOf(t, proxy.PID()), threadsOf(t, proxy.PID())
	}
	settle()
	var before, threads int
	rig.Eventually(t, "the count of descriptors comes to rest", func() bool {
		n, th := settle()
		rest := n == before
		before, threads = n, th
		return rest
	})

	stages := []string{"connected", "half a CONNECT", "CONNECT", "half a handshake", "handshake", "request", "request over HTTP/2", "tunnel"}
	for i := range 1000 {
		abort(t, proxy, stages[i%len(stages)], host, net.JoinHostPort(unlisted, strconv.Itoa(port)), i%2 == 0)
	}
	atOnce := descriptorsOf(t, proxy.PID())
	after, threadsAfter := 0, 0
	took := rig.Eventually(t, "descriptors are given back", func() bool {
		after, threadsAfter = settle()
		return after <= before
	})
	t.Logf("descriptors: %d before, %d right after 1,000 aborted requests, %d in the end (%v later); threads: %d before, %d after",
		before, atOnce, after, took.Round(time.Millisecond), threads, threadsAfter)
	// A request that was given up may have left a connection to the server, for the next one to use.
	const pooled = 64
	if atOnce > before+pooled {
		t.Errorf("%d descriptors right after 1,000 aborted requests; %d before", atOnce, before)
	}
	// Go keeps the threads it once needed; a goroutine stuck in a system call each would be hundreds.
	if threadsAfter > threads+16 {
		t.Errorf("%d threads after 1,000 aborted requests; %d before", threadsAfter, threads)
	}
}

// abort opens a connection, gets as far as the stage, and closes it, with a reset
// if so wanted.
func abort(t *testing.T, proxy *rig.Certproxy, stage, listed, unlisted string, reset bool) {
	t.Helper()
	c, err := net.Dial("tcp4", proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if reset {
		defer c.(*net.TCPConn).SetLinger(0)
	}
	c.SetDeadline(time.Now().Add(rig.Patience))
	authority := listed
	switch stage {
	case "connected":
		return
	case "half a CONNECT":
		io.WriteString(c, "CONNECT "+listed+" HT")
		return
	case "tunnel":
		authority = unlisted
	}
	io.WriteString(c, "CONNECT "+authority+" HTTP/1.1\r\nHost: "+authority+"\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
	if err != nil {
		t.Fatalf("CONNECT %s: %v", authority, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Fatalf("CONNECT %s: %s", authority, answer.Status)
	}
	switch stage {
	case "CONNECT", "tunnel":
		return
	case "half a handshake":
		c.Write([]byte("\x16\x03\x01\x02\x00\x01"))
		return
	}
	name, _, _ := strings.Cut(listed, ":")
	conf := &tls.Config{ServerName: name, InsecureSkipVerify: true} // who answers is shown elsewhere
	if stage == "request over HTTP/2" {
		conf.NextProtos = []string{"h2"}
	}
	inner := tls.Client(c, conf)
	if err := inner.Handshake(); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	switch stage {
	case "request":
		fmt.Fprintf(inner, "GET /slow HTTP/1.1\r\nHost: %s\r\n\r\n", listed)
	case "request over HTTP/2":
		// Preface, empty SETTINGS, and HEADERS that are cut off.
		io.WriteString(inner, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x20\x01\x05\x00\x00\x00\x01")
	}
}

func descriptorsOf(t *testing.T, pid int) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func threadsOf(t *testing.T, pid int) int {
	t.Helper()
	for line := range strings.Lines(string(rig.Read(t, fmt.Sprintf("/proc/%d/status", pid)))) {
		if value, ok := strings.CutPrefix(line, "Threads:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no Threads in /proc/PID/status")
	return 0
}
