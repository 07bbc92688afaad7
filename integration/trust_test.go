package integration

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// privately returns a script that runs where the machine's trust is a copy: what it
// changes, no other process sees.
func privately(t *testing.T, script string, args ...string) rig.Command {
	t.Helper()
	rig.Need(t, "unshare", "mount", "update-ca-certificates", "openssl", "curl")
	const prepare = `
set -eu
upper=$1 certproxy=$2; shift 2
mount -t tmpfs none "$upper"
mkdir -p /etc/docker
for dir in /etc/ssl /usr/local/share /etc/docker; do
	over=$upper/$(echo "$dir" | tr / _)
	mkdir -p "$over/new" "$over/work"
	mount -t overlay overlay -o "lowerdir=$dir,upperdir=$over/new,workdir=$over/work" "$dir"
done
mkdir -p /usr/local/share/ca-certificates
`
	line := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", prepare + script, "sh", rig.Dir(t), rig.Binary(t)}
	return rig.Command{Args: append(line, args...), Env: []string{"HOME=" + t.TempDir()}}
}

// After trust install, a curl that was told nothing but the proxy trusts its CA, and so
// does Java; a new CA takes the place of the old one; and trust uninstall leaves the
// store as it was.
func TestTrustOfDebiansStoreComesAndGoes(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	s := rig.NginxNames(t, id)
	certs := rig.Dir(t)
	id.HostDir(certs, hostOf(s), id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	state := filepath.Dir(proxy.CAFile)
	r := rig.Run(t, privately(t, `
state=$1 other=$2 url=$3 proxy=$4
before=$(sha256sum </etc/ssl/certs/ca-certificates.crt; ls /etc/ssl/certs)
get() { curl -sS -o /dev/null -w "curl %{http_code}\n" --noproxy '' --proxy "$proxy" "$url" 2>&1 || echo "curl failed"; }
java() { ! [ -e /etc/ssl/certs/java/cacerts ] || echo "java $(keytool -list -keystore /etc/ssl/certs/java/cacerts -storepass changeit 2>/dev/null | grep -c certproxy)"; }
"$certproxy" ca init --state "$other" >/dev/null
get
"$certproxy" trust install --dry-run --state "$state"
get
"$certproxy" trust install --state "$state"
get; java
"$certproxy" trust install --state "$state"
"$certproxy" trust install --state "$other"
get; java
# Another certificate under such a name is not ours.
cp "$state/ca.crt" /usr/local/share/ca-certificates/certproxy-0123456789abcdef.crt
"$certproxy" trust uninstall --dry-run
rm /usr/local/share/ca-certificates/certproxy-0123456789abcdef.crt
"$certproxy" trust uninstall
java
"$certproxy" trust uninstall
echo "links to nowhere: $(find /etc/ssl/certs -xtype l | wc -l)"
after=$(sha256sum </etc/ssl/certs/ca-certificates.crt; ls /etc/ssl/certs)
[ "$before" = "$after" ] && echo "as it was"
`, state, filepath.Join(rig.Dir(t), "other"), "https://"+hostOf(s)+"/", proxy.URL()))
	if r.Exit != 0 {
		t.Fatalf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	const file, update, fresh = `system: wrote /usr/local/share/ca-certificates/LABEL.crt`, `system: ran update-ca-certificates`, `system: ran update-ca-certificates --fresh`
	const removed, hook = `system: removed /usr/local/share/ca-certificates/LABEL.crt`, `system: told /etc/ca-certificates/update.d/jks-keystore of it`
	const refused = "curl: (60) SSL certificate problem: unable to get local issuer certificate\ncurl 000\ncurl failed"
	want := strings.Join([]string{
		refused,
		"system: would write /usr/local/share/ca-certificates/LABEL.crt", "system: would run update-ca-certificates",
		refused,
		file, update, "curl 200", "java 1",
		"system: has it already",
		removed, file, fresh, hook, refused, "java 1",
		"system: would remove /usr/local/share/ca-certificates/LABEL.crt", "system: would run update-ca-certificates --fresh",
		"system: would tell /etc/ca-certificates/update.d/jks-keystore of it",
		removed, fresh, hook, "java 0",
		"system: has none of certproxy's",
		"links to nowhere: 0",
		"as it was", "",
	}, "\n")
	got := regexp.MustCompile(`certproxy-[0-9a-f]{16}`).ReplaceAllString(r.Stdout, "LABEL")
	got = regexp.MustCompile(`(?m)^More details here: .*\n(?:.*\n)*?curl 000`).ReplaceAllString(got, "curl 000")
	if _, err := exec.LookPath("keytool"); err != nil {
		want = strings.NewReplacer("java 1\n", "", "java 0\n", "", hook+"\n", "", strings.Replace(hook, "told", "would tell", 1)+"\n", "").Replace(want)
	}
	if got != want {
		t.Errorf("\n%s\nwant\n%s\n%s", got, want, r.Stderr)
	}
}

// dockerd's certs.d gets the CA for each listed host, in the directory that dockerd
// reads, and loses it again with the directories that were made for it.
func TestTrustOfDockerComesAndGoes(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	certs, state := rig.Dir(t), filepath.Join(rig.Dir(t), "state")
	id.HostDir(certs, "registry.example", id.Good)
	id.HostDir(certs, "registry.example_5000_", id.Good)
	r := rig.Run(t, privately(t, `
state=$1 certs=$2
rm -rf /etc/docker/certs.d
mkdir -p /etc/docker/certs.d/other.example
cp -r "$certs/registry.example" /etc/docker/certs.d/kept.example:444
"$certproxy" ca init --state "$state" >/dev/null
set -- --store docker --state "$state" --certs "$certs" --certs /etc/docker/certs.d
"$certproxy" trust install "$@"
(cd /etc/docker/certs.d && find . -name 'certproxy*' | sort)
cmp /etc/docker/certs.d/registry.example/certproxy-*.crt "$state/ca.crt"
"$certproxy" list --state "$state" --certs "$certs" --certs /etc/docker/certs.d | grep -c certproxy || :
"$certproxy" trust install "$@"
"$certproxy" trust uninstall "$@"
(cd /etc/docker/certs.d && find . -name '*.crt' -o -type d | sort)
`, state, certs))
	if r.Exit != 0 {
		t.Fatalf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	want := `docker: wrote /etc/docker/certs.d/kept.example:444/LABEL.crt
docker: wrote /etc/docker/certs.d/registry.example/LABEL.crt
docker: wrote /etc/docker/certs.d/registry.example:5000/LABEL.crt
./kept.example:444/LABEL.crt
./registry.example/LABEL.crt
./registry.example:5000/LABEL.crt
0
docker: has it already
docker: removed /etc/docker/certs.d/kept.example:444/LABEL.crt
docker: removed /etc/docker/certs.d/registry.example/LABEL.crt
docker: removed /etc/docker/certs.d/registry.example:5000/LABEL.crt
.
./kept.example:444
./kept.example:444/ca.crt
./other.example
`
	if got := regexp.MustCompile(`certproxy-[0-9a-f]{16}`).ReplaceAllString(r.Stdout, "LABEL"); got != want {
		t.Errorf("\n%s\nwant\n%s\n%s", got, want, r.Stderr)
	}
}

// The databases of browsers, with the real certutil, and Java's store, with the real
// keytool.
func TestTrustOfBrowsersAndJavaComesAndGoes(t *testing.T) {
	t.Parallel()
	rig.Need(t, "certutil", "keytool")
	r := rig.Run(t, privately(t, `
state=$1 other=$2
"$certproxy" ca init --state "$state" >/dev/null
"$certproxy" ca init --state "$other" >/dev/null
shared=$HOME/.pki/nssdb profile=$HOME/.mozilla/firefox/abc.default
for db in "$shared" "$profile"; do
	mkdir -p "$db"
	certutil -N -d "sql:$db" --empty-password
done
# A Java whose store can be written to.
export JAVA_HOME=$HOME/java
mkdir -p "$JAVA_HOME/bin" "$JAVA_HOME/lib/security"
ln -s "$(command -v keytool)" "$JAVA_HOME/bin/keytool"
keytool -importcert -noprompt -keystore "$JAVA_HOME/lib/security/cacerts" -storepass changeit -alias another -file /etc/ssl/certs/ISRG_Root_X1.pem 2>/dev/null
count() {
	for db in "$shared" "$profile"; do certutil -L -d "sql:$db" | grep -c '^certproxy-.* C,,' || :; done
	keytool -list -keystore "$JAVA_HOME/lib/security/cacerts" -storepass changeit 2>/dev/null | grep -c trustedCertEntry
}
set -- --store nss --store java
"$certproxy" trust install --dry-run --state "$state" "$@"; count
"$certproxy" trust install --state "$state" "$@"; count
"$certproxy" trust install --state "$state" "$@"
"$certproxy" trust install --state "$other" "$@"; count
"$certproxy" trust uninstall "$@"; count
"$certproxy" trust uninstall "$@"
`, filepath.Join(rig.Dir(t), "state"), filepath.Join(rig.Dir(t), "other")))
	if r.Exit != 0 {
		t.Fatalf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	const none, one = "0\n0\n1\n", "1\n1\n2\n"
	const nss1, nss2, java = "HOME/.pki/nssdb\n", "HOME/.mozilla/firefox/abc.default\n", "HOME/java/lib/security/cacerts\n"
	added := "nss: added LABEL to " + nss1 + "nss: added LABEL to " + nss2 + "java: added LABEL to " + java
	want := strings.ReplaceAll(added, "added", "would add") + none +
		added + one +
		"nss: has it already\njava: has it already\n" +
		"nss: removed LABEL from " + nss1 + "nss: added LABEL to " + nss1 + "nss: removed LABEL from " + nss2 + "nss: added LABEL to " + nss2 +
		"java: removed LABEL from " + java + "java: added LABEL to " + java + one +
		"nss: removed LABEL from " + nss1 + "nss: removed LABEL from " + nss2 + "java: removed LABEL from " + java + none +
		"nss: has none of certproxy's\njava: has none of certproxy's\n"
	got := regexp.MustCompile(`certproxy-[0-9a-f]{16}`).ReplaceAllString(r.Stdout, "LABEL")
	got = regexp.MustCompile(`/\S*?/001/`).ReplaceAllString(got, "HOME/")
	if got != want {
		t.Errorf("\n%s\nwant\n%s\n%s", got, want, r.Stderr)
	}
}
