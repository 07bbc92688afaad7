package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// After a 101 the bytes are no requests any more: what nobody asked for would carry
// anything past the checks of requests.
func TestAChangeOfProtocolThatNobodyAskedForIsAnError(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		for _, fields := range []string{"Connection: Upgrade\r\nUpgrade: evil\r\n", "Connection: Upgrade\r\n", ""} {
			w.serve(verbatim("HTTP/1.1 101 Switching Protocols\r\n" + fields + "\r\nevil bytes"))
			resp, body := w.send(w.request("GET", "/", nil))
			if resp.StatusCode != http.StatusBadGateway || strings.Contains(body, "evil bytes") || !strings.HasPrefix(resp.Header.Get("Proxy-Status"), "certproxy; error=") {
				t.Errorf("%q: %s %q, Proxy-Status %q", fields, resp.Status, body, resp.Header.Get("Proxy-Status"))
			}
		}
	})
}

func TestAChangeToAnotherProtocolThanAskedForIsAnError(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, fields := range []string{"Connection: Upgrade\r\nUpgrade: evil\r\n", "Connection: Upgrade\r\n"} {
			w.serve(verbatim("HTTP/1.1 101 Switching Protocols\r\n" + fields + "\r\nevil bytes"))
			conn, br := w.secure(w.host, "localhost")
			resp, body := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host, "Connection: Upgrade", "Upgrade: tcp")
			if resp.StatusCode != http.StatusBadGateway || strings.Contains(body, "evil bytes") {
				t.Errorf("%q: %s %q", fields, resp.Status, body)
			}
		}
	})
}

func TestNoSpellingOfH2CIsPassedOn(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the server") })
	r.list(host, "a")
	for _, fields := range [][]string{
		{"Connection: Upgrade", "Upgrade: H2C"},
		{"Connection: Upgrade", "Upgrade: websocket, h2c"},
		{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"},
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
	} {
		conn, br := r.secure(host, "localhost")
		resp, _ := ask(t, conn, br, append([]string{"GET / HTTP/1.1", "Host: " + host}, fields...)...)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %s", fields, resp.Status)
		}
	}
}

// HTTP/1.0 cannot change protocols (RFC 9110 section 7.8).
func TestAnUpgradeInHTTP10IsIgnored(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Upgrade") != "" {
				t.Errorf("the server was asked for %s", req.Header.Get("Upgrade"))
			}
			_, _ = io.WriteString(rw, "in plain HTTP")
		})
		req := w.request("GET", "/", nil)
		req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"tcp"}}
		if resp, body := w.send(req); resp.StatusCode != 200 || body != "in plain HTTP" {
			t.Errorf("%s %q", resp.Status, body)
		}
	})
}
