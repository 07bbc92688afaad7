package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"certproxy": func() {
			if names := os.Getenv(namesVariable); names != "" {
				net.DefaultResolver = resolving(names)
			}
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs testdata/script: one file a topic, with the commands as people
// type them and what they see. Beside testscript's own commands there are those of
// [commands].
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: commands(), Setup: func(env *testscript.Env) error {
		newStage(env)
		env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
		env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "xdg-state"))
		env.Setenv("BIN", filepath.SplitList(env.Getenv("PATH"))[0]) // where testscript puts certproxy
		return nil
	}})
}

// TestBrokenSetUpsAreMendedByWhatCheckPrints runs testdata/broken: one set-up a file, with
// one thing wrong. certproxy check names it first, what it prints as the fix is pasted into
// a shell, and then nothing is wrong any more.
func TestBrokenSetUpsAreMendedByWhatCheckPrints(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/broken", Cmds: commands(), Setup: func(env *testscript.Env) error {
		newStage(env)
		for name, value := range map[string]string{
			"HOME": filepath.Join(env.WorkDir, "home"), "BIN": filepath.SplitList(env.Getenv("PATH"))[0],
			"CERTPROXY_CERTS": filepath.Join(env.WorkDir, "certs.d"), "CERTPROXY_STATE": filepath.Join(env.WorkDir, "state"),
			"CERTPROXY_ADMIN": "off", "SSL_CERT_FILE": filepath.Join(env.WorkDir, "system.pem"), "SSL_CERT_DIR": filepath.Join(env.WorkDir, "none"),
			"HTTPS_PROXY": "", "https_proxy": "", "HTTP_PROXY": "", "http_proxy": "", "NO_PROXY": "", "no_proxy": "", "NO_COLOR": "",
		} {
			env.Setenv(name, value)
		}
		return os.WriteFile(env.Getenv("SSL_CERT_FILE"), nil, 0o600)
	}})
}
