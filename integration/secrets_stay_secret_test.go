package integration

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Credentials, cookies and queries are in no log, page, metric or error, by whatever
// door they come and however the request ends. That is so for each certproxy of all
// tests (see rig.Secrets); here are the ways that no other test has.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	rig.Need(t, "curl", "setpriv", "htpasswd")
	id := rig.NewIdentities(t, name)
	server := rig.ServeTLS(t, id, &tls.Config{ClientAuth: tls.RequireAnyClientCert}, http.HandlerFunc(answerWithSecrets))
	host := hostOf(server)
	unlisted := rig.NewEcho(t)
	noTLS := fmt.Sprintf("%s:%d", name, rig.NewEcho(t).Port)
	dead := fmt.Sprintf("%s:%d", name, rig.Port(t))
	stranger := rig.ServeTLS(t, rig.NewIdentities(t, name), &tls.Config{}, http.HandlerFunc(answerWithSecrets))

	certs := rig.Dir(t)
	for _, listed := range []string{host, noTLS, dead, hostOf(stranger)} {
		id.HostDir(certs, listed, id.Wrong, id.Good)
	}
	passwords := filepath.Join(rig.Dir(t), "passwords")
	rig.OK(t, rig.Command{Args: []string{"htpasswd", "-cbB", passwords, "alice", rig.MarkPassword}})
	deadProxy := fmt.Sprintf("http://bob:%s@127.0.0.1:%d", rig.MarkPassword, rig.Port(t))
	refusing := refusingProxy(t)
	refusingURL := fmt.Sprintf("http://bob:%s@%s", rig.MarkPassword, refusing)

	secrets := rig.Marked()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"for everybody", []string{"--allow-user", "*"}},
		{"for users alone", []string{"--unlisted", "refuse"}},
		{"with passwords", []string{"--htpasswd", passwords}},
		{"through a proxy that is not there", []string{"--upstream-proxy", deadProxy}},
		{"through a proxy that refuses", []string{"--upstream-proxy", refusingURL}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Args: append(c.args, "--forward", "127.0.0.1:0="+host)})
			forward := proxy.Listening(t, 2)[1]
			said := func(what, text string) {
				t.Helper()
				for _, found := range secrets.In(text) {
					t.Errorf("%s: certproxy said %s", what, found)
				}
			}
			curl := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "curl", "-sSi", "--cacert", proxy.CAFile, "--noproxy", "",
				"-H", "Authorization: Bearer " + rig.MarkAuthorization, "-b", "session=" + rig.MarkCookie, "-d", "password=" + rig.MarkPassword}
			through := []string{"--proxy", proxy.URL(), "--proxy-user", "alice:" + rig.MarkPassword}
			const query = "?access_token=" + rig.MarkQuery
			asked := 0
			for _, path := range []string{"/", "/forbidden", "/redirect", "/reset", "/broken"} {
				for door, args := range map[string][]string{
					"CONNECT, HTTP/1.1":          append(through[:4:4], "--http1.1", "https://"+host+path+query),
					"CONNECT, HTTP/2":            append(through[:4:4], "--http2", "https://"+host+path+query),
					"a wrong password":           {"--proxy", proxy.URL(), "--proxy-user", rig.MarkPassword + ":wrong", "https://" + host + path + query},
					"absolute http":              append(through[:4:4], "http://"+host+path+query),
					"absolute https":             append(through[:4:4], "--request-target", "https://"+host+path+query, "http://"+host+path+query),
					"forward":                    {"http://" + forward + path + query},
					"user information":           append(through[:4:4], "http://alice:"+rig.MarkPassword+"@"+host+path+query),
					"unlisted":                   append(through[:4:4], fmt.Sprintf("http://127.0.0.1:%d%s%s", unlisted.Port, path, query)),
					"no TLS":                     append(through[:4:4], "https://"+noTLS+path+query),
					"nobody there":               append(through[:4:4], "https://"+dead+path+query),
					"a certificate of another":   append(through[:4:4], "https://"+hostOf(stranger)+path+query),
					"a name that does not exist": append(through[:4:4], "https://no-such-name.invalid"+path+query),
				} {
					r := rig.Run(t, rig.Command{Args: append(append([]string{"setpriv"}, curl...), args...)})
					asked++
					if text := r.Stdout + r.Stderr; strings.Contains(text, "Proxy-Status: certproxy") || r.Stdout == "" {
						said(door+" "+path, text)
					}
				}
			}
			// What is no request, and what is one too many.
			fields := fmt.Sprintf("Authorization: Bearer %s\r\nCookie: session=%s\r\nProxy-Authorization: Basic %s\r\n", rig.MarkAuthorization, rig.MarkCookie,
				base64.StdEncoding.EncodeToString([]byte("alice:"+rig.MarkPassword)))
			url := "http://" + host + "/" + query
			for what, send := range map[string]string{
				"CONNECT with a query":             "CONNECT " + host + "/" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"CONNECT with a password":          "CONNECT alice:" + rig.MarkPassword + "@" + host + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"CONNECT to a URL":                 "CONNECT https://" + host + "/" + query + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
				"another Host":                     "GET " + url + " HTTP/1.1\r\nHost: " + rig.MarkCookie + "\r\n" + fields + "\r\n",
				"two lengths":                      "POST " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
				"a bad length":                     "POST " + url + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: " + rig.MarkQuery + "\r\n" + fields + "\r\n",
				"a bad chunk":                      "POST " + url + " HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n" + rig.MarkPassword + "\r\n",
				"a bad coding":                     "POST " + url + " HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: " + rig.MarkPassword + "\r\n" + fields + "\r\n",
				"a folded field":                   "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + " " + rig.MarkCookie + "\r\n\r\n",
				"a field without a colon":          "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization " + rig.MarkAuthorization + "\r\n\r\n",
				"a field with a space":             "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization : " + rig.MarkAuthorization + "\r\n\r\n",
				"a method that is none":            "G(T) " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"a target that is none":            "GET http://[" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"an escape that is none":           "GET http://" + host + "/%zz" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"a query with a space":             "GET " + url + " and more HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"a scheme that is none":            "GET ftp://alice:" + rig.MarkPassword + "@" + host + "/" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"a version that is none":           "GET " + url + " HTTP/" + rig.MarkQuery + "\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"a header that is too large":       "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "X: " + strings.Repeat(rig.MarkCookie, 1<<16) + "\r\n\r\n",
				"a header that ends too soon":      "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields,
				"an upgrade":                       "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
				"no HTTP":                          rig.MarkPassword + "\r\n\r\n",
				"no TLS in a tunnel":               "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\nGET /" + query + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n",
				"to the proxy itself":              "GET /" + query + " HTTP/1.1\r\nHost: " + proxy.Addr + "\r\n" + fields + "\r\n",
				"to the proxy itself, by its name": "GET http://" + proxy.Addr + "/" + query + " HTTP/1.1\r\nHost: " + proxy.Addr + "\r\n" + fields + "\r\n",
			} {
				status, text := exchange(t, proxy.Addr, send)
				asked++
				if status >= 400 { // a request that was good enough is answered by the server
					said(what, text)
				}
			}
			// The log has something to search.
			if told := len(proxy.Lines("")); told < asked {
				t.Errorf("%d requests, and %d lines of the log", asked, told)
			}
			for _, dir := range []string{"--json", "--timeout=5s"} {
				r := rig.Run(t, rig.Command{Names: []string{name}, Args: append([]string{rig.Binary(t), "check", host + "/v2/" + query, "--certs", certs, "--listen", proxy.Addr,
					"--state", filepath.Dir(proxy.CAFile), dir}, upstreamOf(c.args)...)})
				said("check", r.Stdout+r.Stderr)
			}
			r := rig.Run(t, rig.Command{Args: []string{rig.Binary(t), "status", "--admin", "unix:" + proxy.Admin}})
			if r.Exit != 0 {
				t.Errorf("status: exit status %d, %s", r.Exit, r.Stderr)
			}
			said("status", r.Stdout+r.Stderr)
		})
	}
	t.Run("exec", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{host + "/forbidden", dead, noTLS} {
			r := rig.Run(t, rig.Command{Names: []string{name}, Env: []string{"HOME=" + t.TempDir(), "HTTPS_PROXY=" + deadProxy, "NO_PROXY=" + name}, Args: []string{
				rig.Binary(t), "exec", "--certs", certs, "--log-level", "debug", "--", "curl", "-sSf", "https://" + at + "?access_token=" + rig.MarkQuery,
				"-H", "Authorization: Bearer " + rig.MarkAuthorization, "-b", "session=" + rig.MarkCookie,
			}})
			if r.Exit == 0 || !strings.Contains(r.Stderr, "certproxy") {
				t.Errorf("exec: exit status %d, %q", r.Exit, r.Stderr)
			}
			for _, found := range secrets.In(r.Stdout + r.Stderr) {
				t.Errorf("exec: certproxy said %s", found)
			}
		}
	})
}

// upstreamOf is --upstream-proxy among the arguments, with its value.
func upstreamOf(args []string) []string {
	if args[0] == "--upstream-proxy" {
		return args
	}
	return nil
}

// answerWithSecrets refuses, redirects, resets and breaks off, by the path, with what a
// host's answers have that is not for a log.
func answerWithSecrets(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "session="+rig.MarkCookie)
	w.Header().Set("WWW-Authenticate", `Bearer realm="https://token.example/?state=`+rig.MarkQuery+`"`)
	switch r.URL.Path {
	case "/forbidden":
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, rig.MarkPassword)
	case "/redirect":
		w.Header().Set("Location", "https://blobs.example/?signature="+rig.MarkQuery)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "/reset":
		panic(http.ErrAbortHandler)
	case "/broken":
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, rig.MarkPassword)
	default:
		io.WriteString(w, rig.MarkPassword)
	}
}

// refusingProxy returns the address of a proxy that answers every CONNECT with 407, and
// repeats what it was sent.
func refusingProxy(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic realm="+r.Header.Get("Proxy-Authorization"))
		w.WriteHeader(http.StatusProxyAuthRequired)
		io.WriteString(w, r.Header.Get("Proxy-Authorization"))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l) //nolint:errcheck // it ends with Close
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}
