package integration

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// What the manifests of deploy/kubernetes write as arguments is asked of the binary:
// kustomize and the API take any.
func TestManifestsSpeakTheCommandLine(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"gateway/deployment.yaml", "sidecar/sidecar.yaml"} {
		text := string(rig.Read(t, filepath.Join("../deploy/kubernetes", file)))
		block := regexp.MustCompile(`(?m)^ +args:\n((?: +(?:- |#).*\n)+)`).FindStringSubmatch(text)
		if block == nil {
			t.Fatalf("%s has no args", file)
		}
		var args []string
		for _, m := range regexp.MustCompile(`(?m)^ +- (\S+)$`).FindAllStringSubmatch(block[1], -1) {
			args = append(args, m[1])
		}
		if len(args) < 4 || args[0] != "serve" {
			t.Fatalf("%s: the arguments are %q", file, args)
		}
		state := t.TempDir()
		if r := rig.Run(t, rig.Command{Args: append([]string{rig.Binary(t)}, append(args, "--state", state, "--check-config")...)}); r.Exit != 0 {
			t.Errorf("%s: %q: exit status %d\n%s%s", file, args, r.Exit, r.Stdout, r.Stderr)
		}
		probes := regexp.MustCompile(`command: \[/certproxy, (.*)\]`).FindAllStringSubmatch(text, -1)
		if len(probes) != 2 {
			t.Errorf("%s has %d probes by the binary; want one at the start and one of its life", file, len(probes))
		}
		for _, m := range probes {
			probe := strings.Split(m[1], ", ")
			if r := rig.Run(t, rig.Command{Args: append([]string{rig.Binary(t)}, probe...)}); r.Exit != 1 || !strings.Contains(r.Stderr, "no proxy answers") {
				t.Errorf("%s: %q without a proxy: exit status %d, %s; want 1 and why", file, probe, r.Exit, r.Stderr)
			}
			if admin := probe[len(probe)-1]; !strings.Contains(strings.Join(args, " "), admin) {
				t.Errorf("%s: the probe asks %s, and the arguments are %q", file, admin, args)
			}
		}
	}
}
