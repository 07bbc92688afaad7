package architecture

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestImportsGoOneWay(t *testing.T) {
	broken, err := check(os.DirFS("../.."), folders())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range broken {
		t.Error(line)
	}
}

// A rule about a folder that is not there would hold nothing.
func TestEveryRuleHasReasonAndFolder(t *testing.T) {
	for _, f := range folders() {
		if f.why == "" {
			t.Errorf("%s: no reason", f.dir)
		}
		if _, err := os.Stat("../../" + f.dir); err != nil {
			t.Errorf("a rule for a folder that is not there: %v", err)
		}
	}
}

func TestCheckerFindsWhatIsBroken(t *testing.T) {
	cases := []struct {
		name, file, text string
		want             string // empty: nothing is broken
	}{
		{"standard library", "certs/a.go", `package certs; import _ "crypto/tls"`, ""},
		{"cgo", "certs/a.go", `package certs; import "C"`, "certs/a.go:1:23 imports C"},
		{"the one door", "proxy/a.go", `package proxy; import "github.com/elazarl/goproxy"; var _ = goproxy.NewProxyHttpServer`, ""},
		{"another door", "certs/a.go", `package certs; import _ "github.com/elazarl/goproxy"`, "certs may not: it turns files into values"},
		{"fsnotify in the command", "cmd/certproxy/a.go", `package main; import _ "github.com/fsnotify/fsnotify"`, "imports github.com/fsnotify/fsnotify"},
		{"zap below a library", "watch/a.go", `package watch; import _ "go.uber.org/zap"`, "imports go.uber.org/zap"},
		{"all below a path", "proxy/a.go", `package proxy; import _ "go.uber.org/zap/zapcore"`, ""},
		{"only the path itself", "proxy/a.go", `package proxy; import _ "github.com/elazarl/goproxy/ext/auth"`, "imports github.com/elazarl/goproxy/ext/auth"},
		{"a longer name", "proxy/a.go", `package proxy; import _ "go.uber.org/zapper"`, "imports go.uber.org/zapper"},
		{"the wrong way", "certs/a.go", `package certs; import _ "github.com/certproxy/certproxy/proxy"`, "imports github.com/certproxy/certproxy/proxy"},
		{"its own tests", "proxy/a.go", `package proxy; import _ "github.com/certproxy/certproxy/integration/rig"`, "imports github.com/certproxy/certproxy/integration/rig"},
		{"for tests, in a test", "certs/a_test.go", `package certs; import _ "go.uber.org/goleak"`, ""},
		{"for tests, in the product", "certs/a.go", `package certs; import _ "go.uber.org/goleak"`, "imports go.uber.org/goleak"},
		{"for another system", "watch/a_windows.go", `package watch; import _ "go.uber.org/zap"`, "watch/a_windows.go"},
		{"behind a build tag", "watch/a.go", "//go:build never\n\npackage watch; import _ \"go.uber.org/zap\"", "imports go.uber.org/zap"},
		{"a folder without a rule", "internal/new/a.go", `package new`, "internal/new has no rule"},
		{"the published CA", "proxy/a.go", `package proxy; import "github.com/elazarl/goproxy"; var _ = goproxy.MitmConnect`, "uses MitmConnect"},
		{"under another name", "proxy/a.go", `package proxy; import gp "github.com/elazarl/goproxy"; var _ = gp.GoproxyCa`, "uses GoproxyCa"},
		{"without a name", "proxy/a.go", `package proxy; import . "github.com/elazarl/goproxy"; var _ = CA_KEY`, "uses CA_KEY"},
		{"in a test", "proxy/a_test.go", `package proxy; import "github.com/elazarl/goproxy"; var _ = goproxy.ConnectMitm`, "uses ConnectMitm"},
		{"the same name elsewhere", "proxy/a.go", `package proxy; import "golang.org/x/net/http2"; var _ = http2.MitmConnect`, ""},
		{"testdata", "certs/testdata/a.go", `package testdata; import _ "go.uber.org/zap"`, ""},
		{"another module", "integration/a.go", `package integration; import _ "go.uber.org/zap"`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{
				"integration/go.mod": {Data: []byte("module x")},
				c.file:               {Data: []byte(c.text)},
			}
			broken, err := check(tree, folders())
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(broken, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || len(broken) > 1 {
				t.Errorf("check says\n%s\nwant one line with %q", got, c.want)
			}
		})
	}
}
