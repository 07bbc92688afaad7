package rig

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Need skips the test, loudly, where one of the programs is not installed. Under
// CI a missing program is a failure: a green run there means that all was tested.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		miss(t, "not installed: "+strings.Join(missing, ", ")+"; run integration/setup.sh as root")
	}
}

// NeedFile skips likewise where a file is not there that a package brings.
func NeedFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		miss(t, "not installed: "+path+"; run integration/setup.sh as root")
	}
}

// needNamespaces skips where a private /etc/hosts or network cannot be had.
func needNamespaces(t testing.TB) {
	t.Helper()
	Need(t, "unshare", "nsenter", "mount", "ip")
	if os.Geteuid() != 0 {
		miss(t, "not root: a private /etc/hosts needs a mount namespace; run the tests as root")
	}
	out, err := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "true").CombinedOutput()
	if err != nil {
		miss(t, "no namespaces here ("+strings.TrimSpace(string(out))+"); run the tests with CAP_SYS_ADMIN")
	}
}

func miss(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("PREREQUISITE MISSING: %s", what)
	}
	t.Skipf("PREREQUISITE MISSING: %s", what)
}
