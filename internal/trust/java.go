package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A Java is the trust store of one Java installation: that of JAVA_HOME, else that
// of the keytool in PATH. On Debian it is made of the system's store and has a CA that
// is put there.
type Java struct {
	store string // cacerts; "" for none
	tool  string // keytool
	run   runner
}

// NewJava returns the store of this machine's Java.
func NewJava(getenv func(string) string) *Java {
	j := &Java{run: run, tool: filepath.Join(getenv("JAVA_HOME"), "bin", "keytool")}
	if getenv("JAVA_HOME") == "" {
		tool, err := exec.LookPath("keytool")
		if err != nil {
			return j
		}
		if j.tool, err = filepath.EvalSymlinks(tool); err != nil {
			return j
		}
	}
	home := filepath.Dir(filepath.Dir(j.tool))
	for _, place := range []string{"lib/security/cacerts", "jre/lib/security/cacerts"} {
		// keytool writes a file anew: what a link leads to is to be written, not the link.
		if store, err := filepath.EvalSymlinks(filepath.Join(home, place)); err == nil {
			j.store, j.run = store, asOwner(home, j.tool, store)
			break
		}
	}
	return j
}

// Name implements Store.
func (j *Java) Name() string { return "java" }

// keytool's own password for cacerts, the same everywhere.
const storePassword = "changeit"

func (j *Java) keytool(ctx context.Context, stdin, command string, args ...string) ([]byte, error) {
	line := append([]string{j.tool, command, "-keystore", j.store, "-storepass", storePassword}, args...)
	out, err := j.run(ctx, stdin, append(line, "-J-Duser.language=en")...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.store, err)
	}
	return out, nil
}

// An entry of keytool -list takes two lines:
//
//	certproxy-0123456789abcdef, Nov 28, 2026, trustedCertEntry,
//	Certificate fingerprint (SHA-256): AB:CD:...
var javaEntry = regexp.MustCompile(`(?m)^(.*), [^,\n]+, [^,\n]+, trustedCertEntry, *\r?\nCertificate fingerprint \(SHA-256\): ([0-9A-F:]+)`)

// steps lead to the store having this CA, under whatever name, and no other of ours;
// nil is none at all.
func (j *Java) steps(ctx context.Context, ca *x509.Certificate) ([]Step, error) {
	if j.store == "" {
		return nil, &Absent{"no Java is installed here, or it has no cacerts; set JAVA_HOME where it is"}
	}
	if _, err := os.Stat(j.tool); err != nil {
		return nil, &Absent{j.tool + " is not there, which changes Java's trust store; set JAVA_HOME to a Java that has it"}
	}
	list, err := j.keytool(ctx, "", "-list")
	if err != nil {
		return nil, err
	}
	has := false
	var steps []Step
	for _, entry := range javaEntry.FindAllStringSubmatch(string(list), -1) {
		alias, fingerprint := entry[1], strings.ToLower(strings.ReplaceAll(entry[2], ":", ""))
		if ca != nil && fingerprint == fmt.Sprintf("%x", sha256.Sum256(ca.Raw)) {
			has = true
			continue
		}
		if !labels.MatchString(alias) || !strings.HasPrefix(fingerprint, strings.TrimPrefix(alias, "certproxy-")) {
			continue
		}
		steps = append(steps, Step{Would: "remove " + alias + " from " + j.store, Did: "removed " + alias + " from " + j.store, Run: func(ctx context.Context) error {
			_, err := j.keytool(ctx, "", "-delete", "-alias", alias)
			return err
		}})
	}
	if ca != nil && !has {
		steps = append(steps, Step{Would: "add " + Label(ca) + " to " + j.store, Did: "added " + Label(ca) + " to " + j.store, Run: func(ctx context.Context) error {
			_, err := j.keytool(ctx, string(encode(ca)), "-importcert", "-noprompt", "-trustcacerts", "-alias", Label(ca))
			return err
		}})
	}
	return steps, nil
}

// Install implements Store.
func (j *Java) Install(ctx context.Context, ca *x509.Certificate) ([]Step, error) {
	return j.steps(ctx, ca)
}

// Uninstall implements Store.
func (j *Java) Uninstall(ctx context.Context) ([]Step, error) { return j.steps(ctx, nil) }
