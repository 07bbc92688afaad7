package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A finding is one of certproxy check --json.
type finding struct{ Level, About, Text, Fix, Advice string }

// check runs certproxy check beside a running proxy, and returns what it found.
func check(t *testing.T, proxy *rig.Certproxy, ask string) (exit int, findings []finding) {
	t.Helper()
	r := rig.Run(t, rig.Command{
		Args: []string{rig.Binary(t), "check", "--json", "--certs", proxy.Certs, "--state", filepath.Dir(proxy.CAFile), "--listen", proxy.Addr, ask},
		Env:  []string{"SSL_CERT_FILE=" + proxy.CAFile, "HTTPS_PROXY=" + proxy.URL()}, Names: []string{name},
	})
	var report struct{ Findings []finding }
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil || len(report.Findings) == 0 {
		t.Fatalf("certproxy check: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	if strings.Contains(r.Stdout, "PRIVATE KEY") {
		t.Error("a key is shown")
	}
	return r.Exit, report.Findings
}

// nginx refuses with a 400, Apache and HAProxy with alerts, in the handshake or after
// it, and Apache's <Location> with a 403 or by asking again. Whatever it is, check says
// first what the reason is.
func TestCheckNamesTheCauseBehindRealRefusals(t *testing.T) {
	t.Parallel()
	const (
		isWell  = `^this directory is used: `
		expired = `: the certificate has expired: it ended at `
		wrong   = `: its issuer is .+, and the server accepts certificates of `
		asks    = `in a renegotiation|only after it has seen the path`
	)
	for _, server := range []struct {
		name  string
		start func(testing.TB, *rig.Identities, string) *rig.Server
	}{{"nginx", rig.NginxRequire}, {"apache", rig.ApacheRequire}, {"haproxy", rig.HAProxyRequire}, {"apache location", rig.ApacheLocation}} {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(server.name+"/TLS "+version, func(t *testing.T) {
				t.Parallel()
				if server.name == "apache location" && version == "1.3" {
					version = "" // both
				}
				s := server.start(t, rig.NewIdentities(t, name), version)
				for _, c := range []struct {
					pair *throwaway.Certificate
					want string
				}{{s.Good, isWell}, {s.Expired, expired}, {s.Wrong, wrong}} {
					certs := rig.Dir(t)
					s.HostDir(certs, hostOf(s), c.pair)
					proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
					path := "/"
					if server.name == "apache location" {
						path, c.want = "/secret", asks
					}
					exit, findings := check(t, proxy, hostOf(s)+path)
					first := findings[0]
					if !regexp.MustCompile(c.want).MatchString(first.Text) {
						t.Errorf("pair %s: first comes %+v; want %s", c.pair.X509.Subject, first, c.want)
					}
					if want := map[bool]int{true: 0, false: 1}[c.want == isWell]; exit != want {
						t.Errorf("pair %s: exit status %d, want %d: %+v", c.pair.X509.Subject, exit, want, first)
					}
					if c.want == asks && !strings.Contains(first.Fix, "renegotiation: true") {
						t.Errorf("the cure is %q", first.Fix)
					}
				}
			})
		}
	}
}

// A user who cannot read root's keys is told so, and how to look as one who can.
func TestCheckTellsAUserThatKeysAreNotTheirs(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: root, to run it as another user; run the tests as root")
	}
	id := rig.NewIdentities(t, name)
	certs := rig.Dir(t)
	host := fmt.Sprintf("localhost:%d", rig.Port(t))
	dir := id.HostDir(certs, host, id.Good)
	binary := filepath.Join(rig.Dir(t), "certproxy") // where they may run it
	if err := os.WriteFile(binary, rig.Read(t, rig.Binary(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func() error
		text   string
	}{
		{"the key", func() error { return nil }, `^it cannot be read: mode 0600, owner root .uid 0., and this check runs as `},
		{"the directory", func() error { return os.Chmod(dir, 0o700) }, `^it cannot be read: mode 0700, owner root .uid 0., and this check runs as `},
		{"the root", func() error { return os.Chmod(certs, 0o700) }, `^root cannot be read: mode 0700, owner root .uid 0., and this check runs as `},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		r := rig.Run(t, rig.Command{
			Args: []string{binary, "check", "--json", "--certs", certs, "--state", "/nonexistent", "--listen", "127.0.0.1:1", host},
			User: 65534, Env: []string{"HTTPS_PROXY="},
		})
		var report struct{ Findings []finding }
		if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
		}
		first := report.Findings[0]
		want := "sudo certproxy check --certs=" + certs + " --json=true --listen=127.0.0.1:1 --state=/nonexistent " + host
		if !regexp.MustCompile(c.text).MatchString(first.Text) || first.Fix != want {
			t.Errorf("%s: first comes %+v; want %s and %s", c.name, first, c.text, want)
		}
		if r.Exit != 1 {
			t.Errorf("%s: exit status %d", c.name, r.Exit)
		}
	}
}

// Limits of inotify that are used up are named, with the command that raises them. In a
// user namespace of its own the test may lower them.
func TestCheckNamesTheLimitsOfInotify(t *testing.T) {
	t.Parallel()
	certs := rig.Dir(t)
	id := rig.NewIdentities(t, name)
	id.HostDir(certs, name, id.Good)
	for limit, sysctl := range map[string]string{"max_inotify_instances": "max_user_instances", "max_inotify_watches": "max_user_watches"} {
		r := rig.Run(t, rig.Command{Args: []string{"unshare", "--user", "--map-root-user", "sh", "-c", `echo 0 >"/proc/sys/user/$0" && exec "$@"`, limit,
			rig.Binary(t), "check", "--json", "--certs", certs, "--state", "/nonexistent", "--listen", "127.0.0.1:1"}})
		var report struct{ Findings []finding }
		if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
		}
		found := false
		for _, f := range report.Findings {
			found = found || f.About == "inotify" && f.Level == "warning" && strings.Contains(f.Text, sysctl) && strings.HasPrefix(f.Fix, "sudo sysctl -w fs.inotify."+sysctl+"=")
		}
		if !found {
			t.Errorf("%s: %+v", limit, report.Findings)
		}
	}
}

// What check prints against a CA that the system does not trust makes the system trust it.
func TestCheckPrintsHowTheCAIsTrusted(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	certs := rig.Dir(t)
	id.HostDir(certs, name, id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	r := rig.Run(t, privately(t, `
export CERTPROXY_CERTS="$1" CERTPROXY_STATE="$2" CERTPROXY_LISTEN="$3" HTTPS_PROXY="http://$3"
mkdir "$4/bin" && ln -s "$certproxy" "$4/bin/certproxy" && export PATH="$4/bin:$PATH"
certproxy check >"$4/before" && exit 3
sed -n 1,2p "$4/before"
eval "$(sed -n 's/^  fix: //p' "$4/before" | head -n 1)"
certproxy check | grep -E '^(error|warning):|trusts the local CA'
`, certs, filepath.Dir(proxy.CAFile), proxy.Addr, rig.Dir(t)))
	want := regexp.MustCompile(`^error: \S+/ca\.crt: the system does not trust the local CA: .*\n  fix: certproxy trust install --state \S+\n(system: .*\n)+ok: \S+/ca\.crt: the system trusts the local CA\n$`)
	if r.Exit != 0 || !want.MatchString(r.Stdout) {
		t.Errorf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}
