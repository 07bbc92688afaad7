package integration

import (
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// What systemd/ has beside the service of the machine: a drop-in for podman's, and
// units with which a user runs a certproxy of their own.
func TestUnitsBesideTheServiceAreUsed(t *testing.T) {
	t.Parallel()
	rig.Need(t, "podman")
	rig.NeedFile(t, "/usr/share/pam-configs/systemd") // gives users a runtime directory
	w := newWorkshop(t)
	for unit, file := range map[string]string{
		"system/certproxy.socket": "certproxy.socket",
		"user/certproxy.service":  "user/certproxy.service",
		"user/certproxy.socket":   "user/certproxy.socket",
	} {
		rig.Write(t, w.Root, "etc/systemd/"+unit, rig.Read(t, "../systemd/"+file), 0o644)
	}
	// As on a machine on which certproxy has never run.
	w.OK(t, "systemctl", "stop", "certproxy.service")
	w.OK(t, "rm", "-r", "/var/lib/certproxy")
	w.OK(t, "systemctl", "daemon-reload")
	t.Run("podman's service", w.servesPodman)
	w.OK(t, "systemctl", "stop", "certproxy.socket", "certproxy.service")
	t.Run("a user's own", w.servesItsUser)
}

// servesPodman has podman's service pull with the drop-in, and not without it.
func (w *workshop) servesPodman(t *testing.T) {
	list(t, w.Machine, w.Identities, recipeHost)
	w.OK(t, "systemctl", "start", "podman.socket")
	pull := []string{"env", "HOME=/root", "podman", "--remote", "--url", "unix:///run/podman/podman.sock", "pull", "-q", recipeImage}
	if r := w.Run(t, pull...); r.Exit == 0 {
		t.Error("podman pulls without certproxy")
	}
	rig.Write(t, w.Root, "etc/systemd/system/podman.service.d/certproxy.conf", rig.Read(t, "../systemd/drop-ins/podman.conf"), 0o644)
	w.OK(t, "systemctl", "daemon-reload")
	w.OK(t, "systemctl", "restart", "podman")
	if got := w.OK(t, pull...); strings.TrimSpace(got) == "" {
		t.Error("podman names no image")
	}
	if log := w.Journal(t, "certproxy"); !strings.Contains(log, `"host":"`+recipeHost+`","method":"GET"`) || !strings.Contains(log, `"pair":"b"`) {
		t.Errorf("the pull did not go through certproxy:\n%s", log)
	}
}

// servesItsUser has a user's service manager start a certproxy on the first connection,
// and restart and reload it; the pairs are the user's, and nobody else's.
func (w *workshop) servesItsUser(t *testing.T) {
	w.OK(t, "useradd", "--create-home", "dev")
	uid := strings.TrimSpace(w.OK(t, "id", "-u", "dev"))
	w.HostDir(w.Root+"/home/dev/.config/certproxy/certs.d", recipeHost, w.Expired, w.Good)
	w.OK(t, "chown", "-R", "dev:dev", "/home/dev/.config")
	// What a login does, or loginctl enable-linger.
	w.OK(t, "systemctl", "start", "user@"+uid+".service")
	as := func(user string, args ...string) rig.Result {
		t.Helper()
		return w.Run(t, append([]string{"setpriv", "--reuid", user, "--regid", user, "--init-groups", "env", "HOME=/home/" + user, "XDG_RUNTIME_DIR=/run/user/" + uid}, args...)...)
	}
	ok := func(args ...string) string {
		t.Helper()
		r := as("dev", args...)
		if r.Exit != 0 {
			t.Fatalf("%q: exit status %d\n%s%s", args, r.Exit, r.Stdout, r.Stderr)
		}
		return r.Stdout
	}
	pid := func() string {
		t.Helper()
		return strings.TrimSpace(ok("systemctl", "--user", "show", "--property=MainPID", "--value", "certproxy.service"))
	}
	ok("systemctl", "--user", "enable", "--now", "certproxy.socket")
	if got := pid(); got != "0" {
		t.Errorf("before anybody connects, the user's service runs as %s", got)
	}
	reach := func(user string) string {
		t.Helper()
		r := as(user, "curl", "-sS", "--noproxy", "", "--proxy", "http://127.0.0.1:3128", "-k", "-o", "/dev/null", "-w", "%{http_connect} %{http_code}", "https://"+recipeHost+"/v2/")
		return r.Stdout
	}
	if got := reach("dev"); got != "200 200" {
		t.Errorf("the first connection: %s", got)
	}
	if got := reach("daemon"); got != "403 000" {
		t.Errorf("another user: %s; want 403 to the CONNECT", got)
	}
	first := pid()
	if got := strings.TrimSpace(w.OK(t, "ps", "-o", "uid=", "-p", first)); got != uid {
		t.Errorf("process %q runs as %s; want the user, %s", first, got, uid)
	}
	if got := ok("certproxy", "status"); !strings.Contains(got, recipeHost+"  intercept") {
		t.Errorf("status: %s", got)
	}
	inspect := []string{"env", "HTTPS_PROXY=http://127.0.0.1:3128", "SSL_CERT_FILE=/home/dev/.local/state/certproxy/ca.crt", "skopeo", "inspect", "--format", "{{.Name}}", "docker://" + recipeImage}
	if got := ok(inspect...); got != strings.TrimSuffix(recipeImage, ":1.2")+"\n" {
		t.Errorf("skopeo inspect: %s", got)
	}
	ok("systemctl", "--user", "reload", "certproxy")
	if got := pid(); got != first {
		t.Errorf("a reload has replaced process %s by %s", first, got)
	}
	ok("systemctl", "--user", "restart", "certproxy")
	if got := pid(); got == first || got == "0" {
		t.Errorf("restarted, the process is %s", got)
	}
	if got := reach("dev"); got != "200 200" {
		t.Errorf("after a restart: %s", got)
	}
	ok(inspect...)
	ok("systemctl", "--user", "disable", "--now", "certproxy.socket", "certproxy.service")
}
