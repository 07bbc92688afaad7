package check

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// placeholders stand in the page for what differs from machine to machine.
const placeholders = `\b(HOST|OTHER|ADDR|PORT|DIR|FILE|PAIR|CA|SUBJECT|PATH|USER|TIME|MODE|NAME|CAUSE)\b`

// documented holds the page: whatever message heads a section is one that was said.
func documented(t *testing.T, said []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile("(?m)^### `(.+)`$").FindAllSubmatch(page, -1)
	if len(headings) < 30 {
		t.Errorf("the page has %d messages", len(headings))
	}
	for _, h := range headings {
		pattern := regexp.MustCompile(placeholders).ReplaceAllString(regexp.QuoteMeta(string(h[1])), ".+")
		ok := false
		for _, s := range said {
			ok = ok || regexp.MustCompile(pattern).MatchString(s)
		}
		if !ok {
			t.Errorf("nobody says %q", h[1])
		}
	}
}

// whatClientsSay returns what programs say that are written in Go, as docker, podman
// and containerd are, and what certproxy answers them.
func whatClientsSay(t *testing.T) []string {
	t.Helper()
	get := func(s *scene, through string, trusted bool) string {
		tr := &http.Transport{DialContext: s.dial, TLSClientConfig: s.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
		tr.TLSClientConfig.RootCAs = throwaway.NewCA("none").Pool()
		if trusted {
			tr.TLSClientConfig.RootCAs = s.system.Clone()
			tr.TLSClientConfig.RootCAs.AddCert(s.pki.X509)
		}
		if through != "" {
			tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: through})
		}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("https://" + s.host + "/v2/")
		if err != nil {
			return err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		var b strings.Builder
		_ = resp.Write(&b)
		return b.String()
	}
	s := newScene(t)
	out := []string{
		get(s, closed(t), true), // the proxy is not running
		get(s, s.proxy, false),  // its CA is not trusted
		get(s, "", true),        // around it
		get(s, refusing(t, s.dial), true),
	}
	unusable := newScene(t, func(s *scene) { _ = os.Remove(s.dir + "/client.key") })
	out = append(out, get(unusable, unusable.proxy, true))
	rejected := newScene(t, func(s *scene) { s.replace(throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "alice"})) })
	return append(out, get(rejected, rejected.proxy, true))
}
