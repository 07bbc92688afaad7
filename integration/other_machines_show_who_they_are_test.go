package integration

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A listener that other machines can reach serves those of allow_networks, those who know a
// password and those with a certificate of the client CA, nobody else, and does not start
// where it would serve nobody.
func TestOtherMachinesShowWhoTheyAre(t *testing.T) {
	t.Parallel()
	rig.Need(t, "htpasswd")
	here, there := rig.NewNetwork(t), rig.NewNetwork(t)
	rig.Join(t, here, []string{"192.0.2.1/24"}, there, []string{"192.0.2.2/24", "192.0.2.3/24"})
	id := rig.NewIdentities(t, name)
	server := rig.NginxNamesIn(t, here, id)
	host := hostOf(server)
	certs := rig.Dir(t)
	id.HostDir(certs, host, id.Good)
	local := rig.NewIdentities(t, "192.0.2.1")
	dir := rig.Dir(t)
	passwords := filepath.Join(dir, "passwords")
	rig.OK(t, rig.Command{Args: []string{"htpasswd", "-cbB", passwords, "alice", "s3cret"}})
	withTLS := "listen_cert: " + filepath.Join(local.Dir, "server.crt") + "\nlisten_key: " + filepath.Join(local.Dir, "server.key") + "\n"

	// serve starts certproxy at an address of the wire, with further lines of its file.
	serve := func(t *testing.T, listen, lines string) (proxy *rig.Certproxy, url string) {
		t.Helper()
		proxy = rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, In: here, Config: lines, Args: []string{"--listen", listen}})
		addr, secure := strings.CutPrefix(proxy.Listening(t, 2)[1], "tls:")
		if secure {
			return proxy, "https://" + addr
		}
		return proxy, "http://" + addr
	}
	// ask asks from the other machine, and returns the answer and the status of the CONNECT.
	ask := func(t *testing.T, url string, args ...string) string {
		t.Helper()
		line := append([]string{"curl", "-sS", "-k", "--noproxy", "", "--proxy", url, "--proxy-cacert", local.CAFile(), "-w", " %{http_code} %{http_connect}"}, args...)
		r := rig.Run(t, rig.Command{Args: there.Enter(append(line, "https://"+host+"/"))})
		return r.Stdout + r.Stderr
	}
	const admitted = "CN=good 200 200"

	t.Run("by networks", func(t *testing.T) {
		t.Parallel()
		proxy, url := serve(t, "192.0.2.1:0", "allow_networks: [192.0.2.2]\n")
		if got := ask(t, url, "--interface", "192.0.2.2"); got != admitted {
			t.Errorf("of the network: %s", got)
		}
		if got := ask(t, url, "--interface", "192.0.2.3"); !strings.Contains(got, " 000 403") {
			t.Errorf("of another: %s", got)
		}
		proxy.WaitLine(t, "connect refused", func(l rig.Line) bool {
			return strings.HasPrefix(l.Text("reason"), "192.0.2.3 may not use the identities of ") && strings.Contains(l.Text("hint"), "allow_networks")
		})
	})
	t.Run("by a host's networks", func(t *testing.T) {
		t.Parallel()
		_, url := serve(t, "192.0.2.1:0", "allow_networks: [192.0.2.0/24]\nhosts:\n  "+host+":\n    allow_networks: [192.0.2.3]\n")
		if got := ask(t, url, "--interface", "192.0.2.2"); !strings.Contains(got, " 000 403") {
			t.Errorf("of the outer network: %s", got)
		}
		if got := ask(t, url, "--interface", "192.0.2.3"); got != admitted {
			t.Errorf("of both: %s", got)
		}
	})
	t.Run("by passwords", func(t *testing.T) {
		t.Parallel()
		proxy, url := serve(t, "192.0.2.1:0", "htpasswd: "+passwords+"\n")
		if got := ask(t, url); !strings.Contains(got, " 000 407") {
			t.Errorf("without one: %s", got)
		}
		if got := ask(t, url, "--proxy-user", "alice:wrong"); !strings.Contains(got, " 000 407") {
			t.Errorf("with a wrong one: %s", got)
		}
		if got := ask(t, url, "--proxy-user", "alice:s3cret"); got != admitted {
			t.Errorf("with the right one: %s", got)
		}
		proxy.WaitLine(t, "request served", func(l rig.Line) bool { return l.Text("user") == "alice" })
		// A changed file is used at once.
		rig.OK(t, rig.Command{Args: []string{"htpasswd", "-bB", passwords, "alice", "another"}})
		rig.Eventually(t, "the new password opens", func() bool { return ask(t, url, "--proxy-user", "alice:another") == admitted })
		if got := ask(t, url, "--proxy-user", "alice:s3cret"); got == admitted {
			t.Errorf("the old password opens, too: %s", got)
		}
		if log := proxy.Log(); strings.Contains(log, "s3cret") || strings.Contains(log, "YWxpY2U") {
			t.Error("a password is in the log")
		}
	})
	t.Run("by certificates", func(t *testing.T) {
		t.Parallel()
		proxy, url := serve(t, "tls:192.0.2.1:0", withTLS+"listen_client_ca: "+id.CAFile()+"\n")
		if got := ask(t, url); strings.Contains(got, "200") || !strings.Contains(got, " 000 000") {
			t.Errorf("without one: %s", got)
		}
		if got := ask(t, url, "--proxy-cert", id.Pair("wrong")+".cert", "--proxy-key", id.Pair("wrong")+".key"); strings.Contains(got, "200") {
			t.Errorf("with one of another CA: %s", got)
		}
		if got := ask(t, url, "--proxy-cert", id.Pair("good")+".cert", "--proxy-key", id.Pair("good")+".key"); got != admitted {
			t.Errorf("with the right one: %s", got)
		}
		proxy.WaitLine(t, "request served", func(l rig.Line) bool { return l.Text("user") == "good" })
	})
	t.Run("not at all", func(t *testing.T) {
		t.Parallel()
		for _, listen := range []string{"192.0.2.1:0", ":0", "0.0.0.0:0", "[::]:0"} {
			r := rig.Run(t, rig.Command{Args: here.Enter([]string{rig.Binary(t), "serve", "--certs", certs, "--state", rig.Dir(t), "--listen", listen})})
			if r.Exit != 2 || !strings.Contains(r.Stderr, listen+" is not a loopback address, so it can be reached from other machines, and nothing says who may use it") {
				t.Errorf("%s: exit status %d: %s", listen, r.Exit, r.Stderr)
			}
		}
	})
	t.Run("and it stays so", func(t *testing.T) {
		t.Parallel()
		file := rig.Write(t, rig.Dir(t), "config.yaml", []byte("allow_networks: [192.0.2.2]\n"), 0o644)
		proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, In: here, Args: []string{"--listen", "192.0.2.1:0", "--config", file}})
		rig.Write(t, filepath.Dir(file), "config.yaml", []byte("allow_users: [root]\n"), 0o644)
		if err := proxy.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		proxy.WaitLine(t, "configuration not reloaded", func(l rig.Line) bool { return strings.Contains(l.Text("hint"), "stays") })
	})
}
