package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// An adminRig is serve with an admin listener.
type adminRig struct {
	t     *testing.T
	root  string // of host directories
	addr  string // of the admin listener
	proxy string // of the proxy
	logs  *observer.ObservedLogs
	stop  func()
}

func newAdminRig(t *testing.T, admin ...config.Setting) *adminRig {
	t.Helper()
	dir := t.TempDir()
	core, logs := observer.New(zap.InfoLevel)
	r := &adminRig{t: t, root: filepath.Join(dir, "certs.d"), logs: logs}
	issuer := throwaway.NewCA("corp CA")
	issuer.WriteRoot(filepath.Join(r.root, "registry.example:5000"), "ca")
	issuer.Issue(throwaway.Options{Name: "a", NotAfter: time.Now().AddDate(0, 0, 20)}).WritePair(filepath.Join(r.root, "registry.example:5000"), "a")
	issuer.Issue(throwaway.Options{Name: "b", NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)}).WritePair(filepath.Join(r.root, "registry.example:5000"), "b")
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, serveOptions{
			from: sources{flags: append([]config.Setting{preset("certs", r.root), preset("state", filepath.Join(dir, "state")), preset("listen", "127.0.0.1:0")}, admin...)},
			log:  zap.New(core), level: zap.NewAtomicLevel(), listening: func(addr net.Addr) { listening <- addr },
		})
	}()
	select {
	case addr := <-listening:
		r.proxy = addr.String()
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	if logs.FilterMessage("no status page, metrics or health").Len() == 0 {
		until(t, "a log line of the admin listener", func() bool { return logs.FilterMessage("admin listener").Len() == 1 })
		r.addr = logs.FilterMessage("admin listener").All()[0].ContextMap()["addr"].(string)
	}
	return r
}

// command runs certproxy and returns its exit code and output.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// openAdmin opens a unix socket as admin listener, which users may see.
func openAdmin(t *testing.T, path string, users ...string) (*listen.Listener, error) {
	t.Helper()
	spec, err := parseAdmin("unix:"+path, len(users) > 0)
	if err != nil {
		t.Fatal(err)
	}
	return listenAdmin(t.Context(), adminOptions{spec: spec})
}

func (r *adminRig) get(path string) string {
	r.t.Helper()
	body, err := askAdmin(r.t.Context(), r.addr, path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

func TestStatusAndListShowTheSameFacts(t *testing.T) {
	for name, addr := range map[string]string{"unix": "unix:" + filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			r := newAdminRig(t, preset("admin", addr))
			code, asJSON, stderr := command(t, "status", "--json", "--admin", r.addr)
			if code != 0 || stderr != "" {
				t.Fatalf("status --json: %d %s", code, stderr)
			}
			_, listed, _ := command(t, "list", "--json", "--certs", r.root)
			var status, list map[string]any
			for text, into := range map[string]*map[string]any{asJSON: &status, listed: &list} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			for _, host := range status["hosts"].([]any) {
				delete(host.(map[string]any), "requests") // what a running proxy alone knows
			}
			for _, key := range []string{"roots", "hosts", "problems"} {
				if !reflect.DeepEqual(status[key], list[key]) {
					t.Errorf("%s: status has\n%v\nlist has\n%v", key, status[key], list[key])
				}
			}
			code, text, _ := command(t, "status", "--admin", r.addr)
			for _, part := range []string{"serving since", "listening      127.0.0.1:", "registry.example:5000  intercept", "CN=a, until", "(in 20 days), not tried", "(EXPIRED)",
				"warning: ", "hint: replace", "requests       0, refused 0"} {
				if !strings.Contains(text, part) {
					t.Errorf("status (%d) has no %q:\n%s", code, part, text)
				}
			}
		})
	}
}

func TestAdminListenerTellsWhatHappens(t *testing.T) {
	r := newAdminRig(t, preset("admin", "unix:"+filepath.Join(t.TempDir(), "s")))
	conn, err := net.Dial("tcp", r.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
	until(t, "a request in the metrics", func() bool {
		return strings.Contains(r.get("/metrics"), `certproxy_requests_total{code="5xx",ending="refused",host="unlisted"} 1`)
	})
	_, text, _ := command(t, "status", "--admin", r.addr)
	if !strings.Contains(text, "CONNECT 127.0.0.1:1  502 refused") || !strings.Contains(text, "127.0.0.1:1 refuses connections") {
		t.Errorf("status:\n%s", text)
	}
	throwaway.SelfSigned(throwaway.Options{Name: "c"}).WritePair(filepath.Join(r.root, "new.example"), "c")
	until(t, "the new host", func() bool { return strings.Contains(r.get("/?q=new"), "new.example:443") })
	until(t, "a reload in the metrics", func() bool { return !strings.Contains(r.get("/metrics"), `certproxy_reloads_total{of="certs"} 0`) })
	if got := r.get("/readyz"); got != "ok\n" {
		t.Errorf("readyz: %q", got)
	}
	r.stop()
	if code, _, stderr := command(t, "status", "--admin", r.addr); code != 1 || !strings.Contains(stderr, "no proxy answers") {
		t.Errorf("status of a proxy that has ended: %d %s", code, stderr)
	}
}

// No client of the proxy reaches the admin listener through it.
func TestAdminListenerIsNotReachedThroughTheProxy(t *testing.T) {
	r := newAdminRig(t, preset("admin", "127.0.0.1:0"))
	_, port, _ := net.SplitHostPort(r.addr)
	for _, name := range []string{"127.0.0.1", "localhost"} {
		for _, send := range []string{"CONNECT " + name + ":" + port + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://" + name + ":" + port + "/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
			conn, err := net.Dial("tcp", r.proxy)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, send)
			answer, _ := io.ReadAll(conn)
			conn.Close()
			if !strings.HasPrefix(string(answer), "HTTP/1.1 508") {
				t.Errorf("%.40q is answered %.60q", send, answer)
			}
		}
	}
}

func TestAdminSocketIsForItsUsers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	t.Setenv("RUNTIME_DIRECTORY", dir) // where it is by default
	r := newAdminRig(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v, %v; want 0660", info.Mode(), err)
	}
	// A second one does not take it away.
	if _, err := openAdmin(t, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a second listener: %v", err)
	}
	second := newAdminRig(t)
	if second.logs.FilterMessage("no status page, metrics or health").Len() != 1 {
		t.Error("a second proxy does not say that it has no status page")
	}
	r.stop()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
	// What a killed process leaves behind is replaced; what is no socket is not.
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	l, err := openAdmin(t, path, "*")
	if err != nil {
		t.Fatalf("a socket left behind: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("with --admin-user the socket has mode %v, %v", info.Mode(), err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAdmin(t, path); err == nil {
		t.Error("a file is taken for a socket")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestAdminIsWhereTheSystemSays(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		uid  int
		want string
	}{
		{map[string]string{"RUNTIME_DIRECTORY": "/run/certproxy"}, 999, "unix:/run/certproxy/admin.sock"},
		{map[string]string{"RUNTIME_DIRECTORY": "/run/a:/run/b"}, 999, "unix:/run/a/admin.sock"},
		{nil, 0, "unix:/run/certproxy/admin.sock"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"}, 1000, "unix:/run/user/1000/certproxy/admin.sock"},
		{nil, 1000, ""},
		{map[string]string{"XDG_RUNTIME_DIR": "relative"}, 1000, ""},
	} {
		if got := defaultAdmin(func(k string) string { return c.env[k] }, c.uid); got != c.want {
			t.Errorf("for uid %d with %v: %q, want %q", c.uid, c.env, got, c.want)
		}
	}
}
