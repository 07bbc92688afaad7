package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/elazarl/goproxy"
)

// Each default of goproxy that would do more than parse CONNECT is off, whatever
// the environment says.
func TestGoproxyIsTheFrontDoorAndNothingElse(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	t.Setenv("https_proxy", "http://127.0.0.1:9")
	r := newRig(t)
	door, ok := r.proxy.door.(*goproxy.ProxyHttpServer)
	if !ok {
		t.Fatalf("the door is a %T", r.proxy.door)
	}
	for what, wrong := range map[string]bool{
		"ConnectDial is the environment's proxy":     door.ConnectDial != nil,
		"ConnectDialWithReq is not ours":             door.ConnectDialWithReq == nil,
		"Tr asks the environment for a proxy":        door.Tr == nil || door.Tr.Proxy != nil,
		"Verbose logs URLs with their queries":       door.Verbose,
		"AllowHTTP2 turns its interception on":       door.AllowHTTP2,
		"CertStore keeps what it mints":              door.CertStore != nil,
		"KeepHeader passes on proxy fields":          door.KeepHeader,
		"ConnectionErrHandler is not ours":           door.ConnectionErrHandler == nil,
		"NonproxyHandler is not ours":                door.NonproxyHandler == nil,
		"Logger is the one that writes to stderr":    door.Logger == nil,
		"KeepDestinationHeaders changes the answers": door.KeepDestinationHeaders,
	} {
		if wrong {
			t.Error(what)
		}
	}
	if c, err := door.Tr.DialContext(context.Background(), "tcp", r.addr); err == nil {
		_ = c.Close()
		t.Error("its transport connects")
	}
	_, _, resp := r.connect("nobody") // answered, so it runs and knows its own address
	_ = resp.Body.Close()
	req := httptest.NewRequest(http.MethodConnect, "//"+r.addr, nil)
	if c, err := door.ConnectDialWithReq(req, "tcp", r.addr); err == nil {
		_ = c.Close()
		t.Error("its dialer connects to ourselves")
	}
}

func TestAConnectThatDidNotComeThroughOurDoorIsRefused(t *testing.T) {
	r := newRig(t)
	s := httptest.NewServer(r.proxy.door)
	defer s.Close()
	other := &rig{t: t, addr: s.Listener.Addr().String()}
	_, _, resp := other.connect(r.addr)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("answered %s", resp.Status)
	}
}

func TestPlainHTTPDoesNotReachGoproxy(t *testing.T) {
	r := newRig(t)
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer origin.Close()
	listed := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(listed, "a")
	door := r.proxy.door.(*goproxy.ProxyHttpServer)
	door.OnRequest().DoFunc(func(*http.Request, *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		t.Error("a plain request reached goproxy")
		return nil, nil
	})
	for target, want := range map[string]string{origin.URL + "/": "200", "https://" + listed + "/": "200", "http://" + listed + "/": "200", "/": "400", "*": "400"} {
		c := r.dial()
		method := "GET"
		if target == "*" {
			method = "OPTIONS"
		}
		_, _ = io.WriteString(c, method+" "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+want) {
			t.Errorf("%s: %q, %v", target, answer, err)
		}
	}
}

func TestTheProxyDoesNotReadTheEnvironmentsProxy(t *testing.T) {
	if os.Getenv("HTTPS_PROXY") == "" {
		t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	}
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	if got, _ := r.get(host, "/"); got != 200 {
		t.Errorf("status %d", got)
	}
}
