package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A server without a directory is reached through a tunnel: the client sees that
// server's own certificate, and the bytes never enter certproxy's memory, for the
// kernel splices one socket into the other.
func TestTunnelIsSplicedAndEndToEnd(t *testing.T) {
	t.Parallel()
	rig.Need(t, "strace")
	const size = 64 << 20
	const unlisted = "unlisted.example.test"

	ca := throwaway.NewCA("CA that certproxy does not know")
	own := ca.Issue(throwaway.Options{Name: unlisted, Hosts: []string{unlisted}})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			return
		}
		w.Header().Set("Up-Sha256", fmt.Sprintf("%x", sum.Sum(nil)))
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.Copy(w, noise(2, size))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own.TLS()}}
	server.StartTLS()
	defer server.Close()

	trace := filepath.Join(t.TempDir(), "trace")
	proxy := rig.Serve(t, rig.Options{
		Names: []string{unlisted},
		Under: []string{"strace", "-f", "-qq", "-e", "trace=splice,read,write,readv,writev,recvfrom,sendto,recvmsg,sendmsg", "-e", "signal=none", "-s", "0", "-o", trace},
	})

	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.Addr}),
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool()},
	}}
	port := server.Listener.Addr().(*net.TCPAddr).Port
	request, err := http.NewRequest("PUT", fmt.Sprintf("https://%s:%d/", unlisted, port), noise(1, size))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = size
	start := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.TLS.PeerCertificates[0].Raw; !bytes.Equal(got, own.X509.Raw) {
		t.Errorf("the client saw a certificate with fingerprint %x; the server's own is %x", sha256.Sum256(got), sha256.Sum256(own.X509.Raw))
	}
	if got, want := answer.Header.Get("Up-Sha256"), fmt.Sprintf("%x", sumOf(t, noise(1, size))); got != want {
		t.Errorf("64 MiB arrived with SHA-256 %s; sent were %s", got, want)
	}
	if got, want := sumOf(t, answer.Body), sumOf(t, noise(2, size)); !bytes.Equal(got, want) {
		t.Errorf("64 MiB came back with SHA-256 %x; sent were %x", got, want)
	}
	took := time.Since(start)
	client.CloseIdleConnections()
	closed := proxy.WaitLine(t, "tunnel closed", func(rig.Line) bool { return true })
	for _, field := range []string{"bytes_up", "bytes_down"} {
		// TLS adds a few dozen bytes to each record of 16 KiB.
		if n := closed.Number(field); n < size || n > size+size/100 {
			t.Errorf("logged %s %d; want a little over %d", field, n, size)
		}
	}
	proxy.Stop(t)

	spliced, copied := traffic(rig.Read(t, trace))
	t.Logf("64 MiB each way in %v under strace: %d bytes spliced, %d bytes by read and write", took.Round(time.Millisecond), spliced, copied)
	// Each byte is spliced twice: from a socket into a pipe, and out of it.
	if spliced < 4*size {
		t.Errorf("%d bytes went through splice; want at least %d", spliced, 4*size)
	}
	// What is left: CONNECT, its answer, log lines, certificates and the like.
	if copied > size/16 {
		t.Errorf("%d bytes went through read, write and their like; want a small part of %d", copied, size)
	}
}

// noise returns n bytes that are the same for the same seed.
func noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func sumOf(t *testing.T, r io.Reader) []byte {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		t.Fatal(err)
	}
	return sum.Sum(nil)
}

// traffic adds up what the system calls of a trace returned: splice, and the
// calls that copy between the kernel and the process.
func traffic(trace []byte) (spliced, copied int64) {
	// "123 splice(8, NULL, 11, NULL, 1048576, SPLICE_F_NONBLOCK) = 65536", or the
	// second half of a call that was interrupted: "123 <... read resumed>...) = 12".
	call := regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>).* = (\d+)$`)
	for line := range bytes.Lines(trace) {
		m := call.FindSubmatch(bytes.TrimSpace(line))
		if m == nil {
			continue
		}
		n, err := strconv.ParseInt(string(m[2]), 10, 64)
		if err != nil {
			continue
		}
		if string(m[1]) == "splice" {
			spliced += n
		} else {
			copied += n
		}
	}
	return spliced, copied
}
