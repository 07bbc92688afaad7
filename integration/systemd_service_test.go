package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// bootService boots a machine with certproxy installed as the package does it, and a server
// that wants a certificate of it. Further files are written by prepare.
func bootService(t *testing.T, prepare func(root string)) (m *rig.Machine, id *rig.Identities, server *rig.Server) {
	t.Helper()
	id = rig.NewIdentities(t, name)
	m = rig.Boot(t, func(root string) {
		rig.Write(t, root, "usr/bin/certproxy", rig.Read(t, rig.Binary(t)), 0o755)
		for _, unit := range []string{"certproxy.service", "certproxy.socket"} {
			rig.Write(t, root, "etc/systemd/system/"+unit, rig.Read(t, "../systemd/"+unit), 0o644)
		}
		rig.Write(t, root, "etc/hosts", []byte("127.0.0.1 localhost "+name+"\n"), 0o644)
		if prepare != nil {
			prepare(root)
		}
	})
	server = rig.NginxNamesIn(t, m.Network, id)
	m.OK(t, "useradd", "--system", "--user-group", "certproxy")
	list(t, m, id, hostOf(server))
	return m, id, server
}

// list writes a host directory whose keys certproxy's group may read.
func list(t *testing.T, m *rig.Machine, id *rig.Identities, host string) {
	t.Helper()
	id.HostDir(filepath.Join(m.Root, "etc/certproxy/certs.d"), host, id.Expired, id.Good)
	m.OK(t, "chgrp", "-R", "certproxy", "/etc/certproxy/certs.d")
	m.OK(t, "chmod", "-R", "g+rX", "/etc/certproxy/certs.d")
}

// ask asks the host through the service, as root of the machine, and returns what it says.
func ask(t *testing.T, m *rig.Machine, host string, args ...string) string {
	t.Helper()
	r := m.Run(t, append([]string{"curl", "-sS", "--max-time", "40", "--noproxy", "", "--proxy", "http://127.0.0.1:3128", "-k", "https://" + host + "/"}, args...)...)
	return r.Stdout + r.Stderr
}

// show returns a property of the service.
func show(t *testing.T, m *rig.Machine, property string) string {
	t.Helper()
	return strings.TrimSpace(m.OK(t, "systemctl", "show", "--value", "--property="+property, "certproxy.service"))
}

// The first connection starts the service. It says how it is, reads what it is told to read
// again, refuses what has a mistake, and sees new hosts by itself. That it is started again
// when it hangs shows debServesDocker.
func TestTheServiceUnderSystemd(t *testing.T) {
	t.Parallel()
	m, id, server := bootService(t, nil)
	host := hostOf(server)
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket")
	if got := show(t, m, "ActiveState"); got != "inactive" {
		t.Errorf("the service is %s before anybody connects", got)
	}
	if got := ask(t, m, host); got != "CN=good" {
		t.Errorf("the first connection: %s", got)
	}
	if got := show(t, m, "ActiveState"); got != "active" {
		t.Errorf("the service is %s", got)
	}
	if got, want := show(t, m, "StatusText"), "1 host, 2 pairs; 1 problem (certproxy list); pair a of "+host+" has expired"; got != want {
		t.Errorf("its status is %q; want %q", got, want)
	}

	// A new host needs no command.
	other := rig.NginxNamesIn(t, m.Network, id)
	list(t, m, id, hostOf(other))
	rig.Eventually(t, "a new host is known", func() bool { return ask(t, m, hostOf(other)) == "CN=good" })
	rig.Eventually(t, "and told", func() bool { return strings.HasPrefix(show(t, m, "StatusText"), "2 hosts, 4 pairs; ") })

	// A reload returns when it is done, and fails with the reason.
	rig.Write(t, m.Root, "etc/certproxy/config.yaml", []byte("unlisted: refuse\n"), 0o644)
	m.OK(t, "systemctl", "reload", "certproxy")
	if got := ask(t, m, "localhost:1"); !strings.Contains(got, "403") {
		t.Errorf("after a reload, an unlisted host: %s", got)
	}
	rig.Write(t, m.Root, "etc/certproxy/config.yaml", []byte("unlistd: refuse\n"), 0o644)
	if r := m.Run(t, "systemctl", "reload", "certproxy"); r.Exit == 0 {
		t.Error("a reload with a mistake succeeds")
	}
	if log := m.Journal(t, "certproxy"); !strings.Contains(log, "config.yaml:1: unknown key \"unlistd\"; did you mean unlisted?") {
		t.Error("the journal does not say what the mistake is")
	}
	if got := ask(t, m, host); got != "CN=good" || show(t, m, "ActiveState") != "active" {
		t.Errorf("after a reload that failed: %s", got)
	}
	rig.Write(t, m.Root, "etc/certproxy/config.yaml", []byte("\n"), 0o644)
}

// Restarts and crashes refuse no connection: systemd holds the socket. What is in flight at
// a restart is finished; what is in flight at a crash is all that is lost.
func TestRestartsRefuseNoConnection(t *testing.T) {
	t.Parallel()
	const requests, clients, restarts = 1000, 4, 20
	m, _, server := bootService(t, nil)
	host := hostOf(server)
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket", "certproxy.service")
	if got := ask(t, m, host); got != "CN=good" {
		t.Fatal(got)
	}
	// On the machine, so that none is waited for longer than for curl; to the last restart,
	// however long those take.
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ] || [ ! -e /run/restarted ]; do
		printf '%%s ' $EPOCHREALTIME
		curl -sS --max-time 60 --noproxy '' --proxy http://127.0.0.1:3128 -k -o /dev/null -w '%%{time_total} %%{http_code} %%{errormsg}\n' https://%s/; i=$((i+1))
	done 2>/dev/null`, requests/clients, host)
	answers := make(chan string, clients)
	for range clients {
		go func() { answers <- m.Run(t, "bash", "-c", script).Stdout }()
	}
	var killed [2]time.Time // shortly before, and after
	for i := range restarts {
		m.OK(t, "systemctl", "restart", "certproxy")
		if i != restarts/2 {
			continue
		}
		pid := show(t, m, "MainPID")
		killed[0] = time.Now()
		m.OK(t, "kill", "-KILL", pid)
		killed[1] = time.Now()
		rig.Eventually(t, "systemd has started another", func() bool {
			return show(t, m, "NRestarts") == "1" && show(t, m, "ActiveState") == "active"
		})
	}
	m.OK(t, "touch", "/run/restarted")
	total, aborted := 0, 0
	for range clients {
		for line := range strings.Lines(<-answers) {
			total++
			var began, took float64
			var status string
			if _, err := fmt.Sscan(line, &began, &took, &status); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if status == "200" {
				continue
			}
			aborted++
			t.Logf("aborted: %s", strings.TrimSpace(line))
			start := time.UnixMicro(int64(began * 1e6))
			end := start.Add(time.Duration(took * float64(time.Second)))
			switch {
			case strings.Contains(line, "refused"), strings.Contains(line, "Failed to connect"):
				t.Errorf("refused: %s", line)
			// curl's own start and end are no part of what it says it took.
			case start.After(killed[1]), end.Add(time.Second).Before(killed[0]):
				t.Errorf("aborted, and not in flight at the kill, which was at %v: %s", killed[0], line)
			}
		}
	}
	t.Logf("%d requests across %d restarts and a kill: 0 refused, %d aborted", total, restarts, aborted)
	if total < requests {
		t.Errorf("%d answers; want %d", total, requests)
	}
	if aborted > clients {
		t.Errorf("%d requests were aborted by a kill; %d were in flight", aborted, clients)
	}
}

// Downloads that began before a restart end after it, those of tunnels too.
func TestDownloadsSurviveARestart(t *testing.T) {
	t.Parallel()
	m, id, _ := bootService(t, nil)
	const size = 8 << 20
	files := rig.NginxFilesIn(t, m.Network, id)
	rig.Write(t, files.Dir, "files/data", make([]byte, size), 0o644)
	list(t, m, id, hostOf(files))
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket", "certproxy.service")
	pid := show(t, m, "MainPID")
	id.Good.WritePair(filepath.Join(m.Root, "root"), "client")
	done := make(chan rig.Result, 2)
	for host, args := range map[string][]string{
		hostOf(files):                           nil, // by the same server's other name, which has no directory, with a certificate of curl's own
		fmt.Sprintf("localhost:%d", files.Port): {"--cert", "/root/client.cert", "--key", "/root/client.key"},
	} {
		line := []string{"curl", "-sS", "--limit-rate", "2M", "--noproxy", "", "--proxy", "http://127.0.0.1:3128", "-k", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "https://" + host + "/data"}
		go func() { done <- m.Run(t, append(line, args...)...) }()
	}
	rig.Eventually(t, "both downloads have begun", func() bool {
		return strings.Count(m.OK(t, "ss", "-tnH", "state", "established", "( sport = :3128 )"), ":3128") == 2
	})
	began := time.Now()
	m.OK(t, "systemctl", "restart", "certproxy")
	t.Logf("the restart took %v", time.Since(began).Round(time.Millisecond))
	for range 2 {
		if got := <-done; got.Stdout != fmt.Sprintf("200 %d", size) {
			t.Errorf("a download: %q %s", got.Stdout, got.Stderr)
		}
	}
	if log := m.Journal(t, "certproxy"); !strings.Contains(log, "tunnel closed") {
		t.Error("there was no tunnel")
	}
	if now := show(t, m, "MainPID"); now == pid {
		t.Error("it was not restarted")
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the downloads ended within %v: they were not in flight", took)
	}
}

// certproxy service install is enough where there is no package, and uninstall leaves what
// is the operator's.
func TestServiceInstallOnAMachineWithoutPackages(t *testing.T) {
	t.Parallel()
	m := rig.Boot(t, func(root string) {
		rig.Write(t, root, "usr/local/bin/certproxy", rig.Read(t, rig.Binary(t)), 0o755)
	})
	dry := m.OK(t, "certproxy", "service", "install", "--dry-run")
	if !strings.Contains(dry, "write /etc/systemd/system/certproxy.service") || m.Run(t, "id", "certproxy").Exit == 0 {
		t.Errorf("a dry run: %s", dry)
	}
	if real := m.OK(t, "certproxy", "service", "install"); real != dry {
		t.Errorf("what was done is not what was said:\n%s\n%s", dry, real)
	}
	if got := show(t, m, "ActiveState"); got != "active" {
		t.Errorf("the service is %s", got)
	}
	if got := m.OK(t, "certproxy", "status"); !strings.Contains(got, "serving since") {
		t.Errorf("status: %s", got)
	}
	m.OK(t, "certproxy", "service", "install") // again, for an upgrade
	m.OK(t, "certproxy", "service", "uninstall")
	if r := m.Run(t, "systemctl", "cat", "certproxy.service"); r.Exit == 0 {
		t.Error("the unit is left")
	}
	if _, err := os.Stat(filepath.Join(m.Root, "var/lib/certproxy/ca.key")); err != nil {
		t.Errorf("the CA is gone: %v", err)
	}
	m.OK(t, "certproxy", "service", "uninstall", "--purge")
	for _, gone := range []string{"var/lib/certproxy", "etc/certproxy"} {
		if _, err := os.Stat(filepath.Join(m.Root, gone)); err == nil {
			t.Errorf("/%s is left after a purge", gone)
		}
	}
	if m.Run(t, "id", "certproxy").Exit == 0 {
		t.Error("the user is left after a purge")
	}
}

// Keys that stay root's alone are handed to the service as credentials, as docs/systemd.md
// says.
func TestRootsKeysAreHandedOverAsCredentials(t *testing.T) {
	t.Parallel()
	m, id, server := bootService(t, nil)
	host := hostOf(server)
	m.OK(t, "rm", "-r", filepath.Join("/etc/certproxy/certs.d", host))
	id.Good.WritePair(filepath.Join(m.Root, "root/keys"), "client")
	id.CA.WriteRoot(filepath.Join(m.Root, "root/keys"), "ca")
	m.OK(t, "chmod", "-R", "go=", "/root/keys")
	// A colon would separate the two paths.
	dir := "/etc/certproxy/certs.d/" + strings.ReplaceAll(host, ":", "_") + "_"
	m.OK(t, "mkdir", "-p", dir)
	drop := "[Service]\n"
	for _, file := range []string{"client.cert", "client.key", "ca.crt"} {
		drop += "LoadCredential=" + file + ":/root/keys/" + file + "\n"
	}
	rig.Write(t, m.Root, "etc/systemd/system/certproxy.service.d/keys.conf", []byte(drop+"BindReadOnlyPaths=%d:"+dir+"\n"), 0o644)
	m.OK(t, "systemctl", "enable", "--now", "certproxy.socket")
	if got := ask(t, m, host); got != "CN=good" {
		t.Errorf("with credentials: %s", got)
	}
	if got := m.OK(t, "certproxy", "status"); !strings.Contains(got, host+"  intercept") {
		t.Errorf("status: %s", got)
	}
}
