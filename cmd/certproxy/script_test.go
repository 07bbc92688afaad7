package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"certproxy": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script: one file a topic, with the commands as people
// type them and what they see. Beside testscript's own commands there are
//
//	pair DIR NAME [expired]   writes DIR/NAME.cert and DIR/NAME.key
//	root DIR NAME                  writes DIR/NAME.crt
func TestScripts(t *testing.T) {
	until := time.Date(2049, 1, 2, 0, 0, 0, 0, time.UTC) // listings show dates
	ca := throwaway.SelfSigned(throwaway.Options{Name: "Corp CA", CA: true, NotAfter: until})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "xdg-state"))
			env.Setenv("BIN", filepath.SplitList(env.Getenv("PATH"))[0]) // where testscript puts certproxy
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"pair": func(ts *testscript.TestScript, _ bool, args []string) {
				o := throwaway.Options{Name: args[1], NotAfter: until}
				if len(args) > 2 {
					o.NotBefore, o.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -1)
				}
				ca.Issue(o).WritePair(ts.MkAbs(args[0]), args[1])
			},
			"root": func(ts *testscript.TestScript, _ bool, args []string) {
				ca.WriteRoot(ts.MkAbs(args[0]), args[1])
			},
		},
	})
}
