package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask sends raw request lines on an intercepted connection and returns the answer.
func ask(t *testing.T, w io.Writer, br *bufio.Reader, lines ...string) (*http.Response, string) {
	t.Helper()
	_, _ = io.WriteString(w, strings.Join(lines, "\r\n")+"\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	return resp, string(body)
}

func TestARequestForAnotherHostThanItsConnectIsMisdirected(t *testing.T) {
	r := newRig(t)
	seen := 0
	host := r.server(func(http.ResponseWriter, *http.Request) { seen++ })
	r.list(host, "a")
	port := host[strings.LastIndex(host, ":"):]
	for _, test := range []struct {
		sni, target, host string
		want              int
	}{
		{"localhost", "/", host, 200},
		{"localhost", "/", "LOCALHOST" + port, 200},
		{"localhost", "/", "localhost." + port, 200},
		{"", "/", host, 200},
		{"localhost", "/", "other.example" + port, 421},
		{"localhost", "/", "localhost", 421}, // that is port 443
		{"localhost", "/", "localhost:1", 421},
		{"localhost", "/", "", 421},
		{"other.example", "/", host, 421},
		{"localhost", "https://" + host + "/", host, 400},
		{"localhost", "https://other.example/", host, 400},
	} {
		conn, br := r.secure(host, test.sni)
		resp, _ := ask(t, conn, br, "GET "+test.target+" HTTP/1.1", "Host: "+test.host)
		if resp.StatusCode != test.want {
			t.Errorf("SNI %q, target %q, Host %q: %s, want %d", test.sni, test.target, test.host, resp.Status, test.want)
		}
		if test.want != 200 && !strings.HasPrefix(resp.Header.Get("Proxy-Status"), "certproxy; error=") {
			t.Errorf("Proxy-Status %q", resp.Header.Get("Proxy-Status"))
		}
	}
	if seen != 4 {
		t.Errorf("the server saw %d requests, want 4", seen)
	}
	req, err := http.NewRequest(http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "other.example"
	resp, err := r.client(2).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("HTTP/2 with another :authority: %s", resp.Status)
	}
}

func TestConnectAndH2CInsideAnInterceptedConnectionAreRefused(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the server") })
	r.list(host, "a")
	conn, br := r.secure(host, "localhost")
	resp, _ := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("h2c: %s", resp.Status)
	}
	conn, br = r.secure(host, "localhost")
	_, _ = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("CONNECT: %v, %v", resp, err)
	}
}

func TestAHostWhoseDirectoryIsGoneIsMisdirectedAndThenTunnelled(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the server") })
	r.list(host, "a")
	conn, br := r.secure(host, "localhost")
	if resp, _ := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+host); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if err := os.RemoveAll(filepath.Join(r.root, host)); err != nil {
		t.Fatal(err)
	}
	r.reload()
	resp, _ := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+host)
	if resp.StatusCode != http.StatusMisdirectedRequest || !resp.Close {
		t.Errorf("on the old connection: %s, close %v", resp.Status, resp.Close)
	}
	// The server's own certificate: only a tunnel shows it.
	if got, body := r.do(r.client(1, r.pki), "GET", host, "/", ""); got != 200 || body != "the server" {
		t.Errorf("on the next one: %d %q", got, body)
	}
}

func TestAClientThatDoesNotTrustTheCAIsToldInTheLog(t *testing.T) {
	r := newRig(t)
	host := r.server(func(http.ResponseWriter, *http.Request) {})
	r.list(host, "a")
	other := &rig{t: t, addr: r.addr, leaves: r.pki} // trusts another CA
	if resp, err := other.client(1).Get("https://" + host + "/"); err == nil {
		_ = resp.Body.Close()
		t.Error("it was answered")
	}
	if hint := r.logged("client handshake failed")["hint"]; !strings.Contains(fmt.Sprint(hint), "does not trust the local CA") {
		t.Errorf("the hint is %q", hint)
	}
}

func TestPlainTextAndSilenceInsideAConnectEndIt(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	host := r.server(func(http.ResponseWriter, *http.Request) { t.Error("it reached the server") })
	r.list(host, "a")
	for _, first := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""} {
		c, br, _ := r.connect(host)
		_, _ = io.WriteString(c, first)
		if _, err := io.Copy(io.Discard, br); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("after %q the connection stays open", first)
		}
	}
	eventually(t, "two log lines", func() bool { return r.logs.FilterMessage("client handshake failed").Len() == 2 })
}

func TestSecretsOfRequestsAreNeverLoggedNorAnswered(t *testing.T) {
	const secret = "s3cr3t-sentinel"
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/fail" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusForbidden)
	})
	r.list(host, "a", "b")
	r.list("localhost:1", "a", "b")
	for _, url := range []string{"https://" + host + "/ok?token=" + secret, "https://" + host + "/fail?token=" + secret, "https://localhost:1/?token=" + secret} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Cookie", "session="+secret)
		resp, err := r.client(1).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if strings.Contains(string(body)+fmt.Sprint(resp.Header), secret) {
			t.Errorf("the answer for %s holds the secret: %s", req.URL.Path, body)
		}
	}
	eventually(t, "three log lines", func() bool {
		return r.logs.FilterMessage("request served").Len()+r.logs.FilterMessage("request refused").Len() == 3
	})
	for _, entry := range r.logs.All() {
		if line := entry.Message + fmt.Sprint(entry.ContextMap()); strings.Contains(line, secret) {
			t.Errorf("the log holds the secret: %s", line)
		}
	}
}

func TestRequestsGoOutAsTheyCameIn(t *testing.T) {
	for _, proto := range []int{1, 2} {
		r := newRig(t)
		var got *http.Request
		host := r.server(func(w http.ResponseWriter, req *http.Request) {
			got = req.Clone(req.Context())
			w.Header().Set("Content-Length", "12345")
		}, func(s *httptest.Server) { s.EnableHTTP2 = false })
		r.list(host, "a")
		for _, target := range []string{"/a%2Fb?a=1;b=2&c=%zz", `/%41"b|c`, "/?", "/x?q=a+b"} {
			req, err := http.NewRequest(http.MethodHead, "https://"+host+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			path, query, hasQuery := strings.Cut(target, "?")
			req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = path, query, hasQuery
			req.Header = http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1"}, "User-Agent": {""}, "Proxy-Authorization": {"Basic x"}}
			resp, err := r.client(proto).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got.RequestURI != target {
				t.Errorf("HTTP/%d: the server saw %s, want %s", proto, got.RequestURI, target)
			}
			if resp.ContentLength != 12345 || resp.Header.Get("Via") != "1.1 "+r.proxy.pseudonym {
				t.Errorf("HTTP/%d: Content-Length %d, Via %q", proto, resp.ContentLength, resp.Header.Get("Via"))
			}
			h := got.Header
			if h.Get("X-Forwarded-For") != "192.0.2.1" || h.Get("Forwarded") != "for=192.0.2.1" || !strings.HasSuffix(h.Get("Via"), " "+r.proxy.pseudonym) ||
				h.Get("User-Agent") != "" || h.Get("Proxy-Authorization") != "" || h.Get("Accept-Encoding") != "" {
				t.Errorf("HTTP/%d: the server saw %v", proto, h)
			}
		}
	}
}

func TestAnUpgradeKeepsTheBytesSentRightBehindIt(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		b := make([]byte, 10)
		_, _ = io.ReadFull(rw, b)
		_, _ = c.Write(append([]byte("echo "), b...))
	})
	r.list(host, "a")
	conn, br := r.secure(host, "localhost")
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = io.WriteString(conn, " late")
	answer := make([]byte, 15)
	if _, err := io.ReadFull(br, answer); err != nil || string(answer) != "echo early late" {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestAnAnswerThatBreaksOffIsAnAbortForTheClient(t *testing.T) {
	for _, proto := range []int{1, 2} {
		for _, length := range []string{"1000", ""} {
			r := newRig(t)
			host := r.server(func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "a part")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			r.list(host, "a")
			resp, err := r.client(proto).Get("https://" + host + "/")
			if err != nil {
				continue // seen even earlier
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil {
				t.Errorf("HTTP/%d, Content-Length %q: %q came as a whole answer", proto, length, body)
			}
		}
	}
}
