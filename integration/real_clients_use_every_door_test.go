package integration

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A door is a way into certproxy.
type door struct {
	name  string
	kind  string // connect, absolute or forward, as the clients call it
	proxy string // http://, https:// or unix:
	url   string
}

// curl, Python and Node get an answer of a server that wants a certificate through each
// door, under the pair that it accepts.
func TestRealClientsUseEveryDoor(t *testing.T) {
	t.Parallel()
	rig.Need(t, "curl", "python3", "node")
	id := rig.NewIdentities(t, name)
	server := rig.NginxNames(t, id)
	host := hostOf(server)
	listed := rig.Dir(t)
	id.HostDir(listed, host, id.Wrong, id.Good)
	local := rig.NewIdentities(t, "127.0.0.1")
	dir := rig.Dir(t)
	socket, forwardSocket := filepath.Join(dir, "proxy.sock"), filepath.Join(dir, "forward.sock")
	proxy := rig.Serve(t, rig.Options{Certs: listed, Names: []string{name}, Args: []string{
		"--listen", "unix:" + socket,
		"--listen", "tls:127.0.0.1:0", "--listen-cert", filepath.Join(local.Dir, "server.crt"), "--listen-key", filepath.Join(local.Dir, "server.key"),
		"--forward", "127.0.0.1:0=" + host,
		"--forward", "unix:" + forwardSocket + "=" + host,
	}})
	addrs := proxy.Listening(t, 5)
	tls, forward := "https://"+strings.TrimPrefix(addrs[2], "tls:"), addrs[3]
	trust := rig.Write(t, dir, "trust.pem", append(rig.Read(t, proxy.CAFile), rig.Read(t, local.CAFile())...), 0o644)

	for _, d := range []door{
		{"CONNECT", "connect", proxy.URL(), "https://" + host + "/"},
		{"CONNECT over a unix socket", "connect", "unix:" + socket, "https://" + host + "/"},
		{"CONNECT over TLS", "connect", tls, "https://" + host + "/"},
		{"absolute http", "absolute", proxy.URL(), "http://" + host + "/"},
		{"absolute http over a unix socket", "absolute", "unix:" + socket, "http://" + host + "/"},
		{"absolute https", "absolute", proxy.URL(), "https://" + host + "/"},
		{"absolute https over TLS", "absolute", tls, "https://" + host + "/"},
		{"forward", "forward", "http://" + forward, "http://" + forward + "/"},
		{"forward over a unix socket", "forward", "unix:" + forwardSocket, "http://localhost/"},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for client, line := range map[string][]string{
				"curl":   curlThrough(t, d, trust),
				"Python": {"/usr/bin/python3", "rig/clients/client.py", d.kind, d.proxy, d.url, trust},
				"Node":   {"node", "rig/clients/client.js", d.kind, d.proxy, d.url, trust},
			} {
				got := rig.Run(t, rig.Command{Args: line})
				if got.Stdout != "200 CN=good" && got.Stdout != "CN=good 200" {
					t.Errorf("%s: %q %s", client, got.Stdout, got.Stderr)
				}
			}
		})
	}
}

// curlThrough returns curl's command line for a door. Over a unix socket curl knows no
// CONNECT, and absolute URLs of https it sends nowhere: it is told what to say there.
func curlThrough(t *testing.T, d door, trust string) []string {
	t.Helper()
	where, err := url.Parse(d.proxy)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	line := []string{"curl", "-sS", "--cacert", trust, "--proxy-cacert", trust, "--noproxy", "", "-w", " %{http_code}"}
	unix := where.Scheme == "unix"
	if unix {
		line = append(line, "--unix-socket", where.Path)
	}
	switch {
	case d.kind == "forward":
		return append(line, d.url)
	case unix:
		return append(line, "--request-target", d.url, "-H", "Host: "+target.Host, "http://localhost/")
	case d.kind == "absolute" && target.Scheme == "https":
		return append(line, "--request-target", d.url, "-H", "Host: "+target.Host, d.proxy)
	}
	return append(line, "--proxy", d.proxy, d.url)
}
