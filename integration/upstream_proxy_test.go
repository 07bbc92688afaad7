package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// The proxies that sites have do what the tests of certproxy behind them rely on, as
// curl sees it: they let through whom they know, to the ports that they allow, by names
// that only they can resolve.
func TestUpstreamProxiesAreThoseOfSites(t *testing.T) {
	t.Parallel()
	const proxyName = "127.0.0.1"
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the host, "+r.Header.Get("Via"))
	})
	id := rig.NewIdentities(t, name)
	host := rig.ServeTLS(t, id, &tls.Config{}, answer)
	forbidden := rig.ServeTLS(t, id, &tls.Config{}, answer)
	plain := httptest.NewServer(answer)
	t.Cleanup(plain.Close) // the subtests outlive this function
	plainURL := fmt.Sprintf("http://%s:%s/", name, plain.URL[strings.LastIndex(plain.URL, ":")+1:])

	for _, c := range []struct {
		name  string
		start func(testing.TB, rig.UpstreamOptions) *rig.UpstreamProxy
		rig.UpstreamOptions
	}{
		{"squid", rig.NewSquid, rig.UpstreamOptions{}},
		{"squid with credentials", rig.NewSquid, rig.UpstreamOptions{User: "user", Password: "p@ss/w:% rd"}},
		{"squid over TLS", rig.NewSquid, rig.UpstreamOptions{TLS: rig.NewIdentities(t, proxyName)}},
		{"squid over TLS with credentials", rig.NewSquid, rig.UpstreamOptions{TLS: rig.NewIdentities(t, proxyName), User: "user", Password: "p@ss/w:% rd"}},
		{"tinyproxy", rig.NewTinyproxy, rig.UpstreamOptions{}},
		{"tinyproxy with credentials", rig.NewTinyproxy, rig.UpstreamOptions{User: "user", Password: "s3cret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.Names, c.Ports = []string{name}, []int{host.Port}
			proxy := c.start(t, c.UpstreamOptions)
			curl := func(proxyURL string) rig.Curl {
				args := []string{"--proxy", proxyURL, "--noproxy", ""}
				if c.TLS != nil {
					args = append(args, "--proxy-cacert", c.TLS.CAFile())
				}
				return rig.Curl{CAFile: id.CAFile(), Args: args}
			}

			got := curl(proxy.URL()).Do(t, "https://"+hostOf(host)+"/")
			if got.Status != 200 || string(got.Body) != "the host, " {
				t.Errorf("through the proxy: %v; want the host's answer, untouched", got)
			}
			proxy.WaitAsked(t, "CONNECT "+hostOf(host))
			got = curl(proxy.URL()).Do(t, plainURL)
			if got.Status != 200 || !strings.HasPrefix(string(got.Body), "the host, 1.1 ") {
				t.Errorf("a plain request through the proxy: %v; want the host's answer, with the proxy's Via", got)
			}
			proxy.WaitAsked(t, "GET "+plainURL)
			refused(t, curl(proxy.URL()), hostOf(forbidden), "403")

			if c.User == "" {
				return
			}
			stranger, err := url.Parse(proxy.URL())
			if err != nil {
				t.Fatal(err)
			}
			stranger.User = nil
			refused(t, curl(stranger.String()), hostOf(host), "407")
			stranger.User = url.UserPassword(c.User, "wrong")
			wrong := "407"
			if strings.HasPrefix(c.name, "tinyproxy") {
				wrong = "401"
			}
			refused(t, curl(stranger.String()), hostOf(host), wrong)
		})
	}
}

// refused fails the test unless the proxy answers a CONNECT with the status.
func refused(t *testing.T, curl rig.Curl, host, status string) {
	t.Helper()
	const connectFailed = 56
	got := curl.Do(t, "https://"+host+"/")
	if got.Exit != connectFailed || !strings.Contains(got.Message, status) {
		t.Errorf("CONNECT %s: %v; want the proxy's %s", host, got, status)
	}
}

// What certproxy reaches, it reaches through the site's proxy, with its credentials:
// interceptions and tunnels by CONNECT, plain requests whole.
func TestHostsAreReachedThroughTheSitesProxy(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	listed := goRequire(t, id, "1.3")
	unlisted := rig.ServeTLS(t, id, &tls.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "tunnelled")
	}))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "plain, "+r.Header.Get("Proxy-Authorization"))
	}))
	t.Cleanup(plain.Close)
	plainURL := fmt.Sprintf("http://%s:%s/", name, plain.URL[strings.LastIndex(plain.URL, ":")+1:])
	for what, start := range map[string]func(testing.TB, rig.UpstreamOptions) *rig.UpstreamProxy{"squid": rig.NewSquid, "tinyproxy": rig.NewTinyproxy} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			site := start(t, rig.UpstreamOptions{User: "user", Password: "s3cret", Names: []string{name}, Ports: []int{listed.Port, unlisted.Port}})
			certs := rig.Dir(t)
			id.HostDir(certs, hostOf(listed), id.Wrong, id.Good)
			proxy := rig.Serve(t, rig.Options{Certs: certs, Args: []string{"--upstream-proxy", site.URL()}}) // only the site's proxy knows the name
			curl := func(ca, url string) rig.Answer {
				return rig.Curl{CAFile: ca, Args: []string{"--proxy", proxy.URL(), "--noproxy", ""}}.Do(t, url)
			}
			if got := curl(proxy.CAFile, "https://"+hostOf(listed)+"/"); got.Status != 200 {
				t.Errorf("intercepted: %v", got)
			}
			site.WaitAsked(t, "CONNECT "+hostOf(listed))
			if got := curl(id.CAFile(), "https://"+hostOf(unlisted)+"/"); string(got.Body) != "tunnelled" {
				t.Errorf("a tunnel: %v", got)
			}
			site.WaitAsked(t, "CONNECT "+hostOf(unlisted))
			if got := curl(id.CAFile(), plainURL); string(got.Body) != "plain, " {
				t.Errorf("a plain request: %v %q", got, got.Body)
			}
			site.WaitAsked(t, "GET "+plainURL)
			if strings.Contains(proxy.Log(), "s3cret") {
				t.Error("the log has the password")
			}
		})
	}
}
