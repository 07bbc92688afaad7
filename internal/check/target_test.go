package check

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for _, test := range []struct{ in, host, path, err string }{
		{in: "registry.example", host: "registry.example:443", path: "/v2/"},
		{in: "Registry.Example.:5000", host: "registry.example:5000", path: "/v2/"},
		{in: "registry.example:5000/", host: "registry.example:5000", path: "/v2/"},
		{in: "https://registry.example/v2/", host: "registry.example:443", path: "/v2/"},
		{in: "[::1]:5000/x", host: "[::1]:5000", path: "/x"},
		{in: "registry.example/a%20b/%2F", host: "registry.example:443", path: "/a%20b/%2F"},
		{in: "registry.example:5000/team/app:1.2", host: "registry.example:5000", path: "/v2/team/app/manifests/1.2"},
		{in: "docker://registry.example/app@sha256:00", host: "registry.example:443", path: "/v2/app/manifests/sha256:00"},
		{in: "registry.example/app:1@sha256:00", host: "registry.example:443", path: "/v2/app/manifests/sha256:00"},
		{in: "registry.example/v2/app/manifests/sha256:00", host: "registry.example:443", path: "/v2/app/manifests/sha256:00"},
		{in: "", err: "empty"},
		{in: "http://registry.example/", err: "plain http"},
		{in: "ftp://registry.example/", err: `scheme "ftp"`},
		{in: "https://user:hunter2@registry.example/", err: "is not allowed"},
		{in: "registry.example/?token=hunter2", err: "query"},
		{in: "registry.example/%zz", err: "percent"},
		{in: "registry.example//x", err: "two slashes"},
		{in: "registry.example:0", err: "port"},
	} {
		got, err := ParseTarget(test.in)
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("ParseTarget(%q) = %v, want an error with %q and no secret", test.in, err, test.err)
		case test.err == "" && (err != nil || got.Host != test.host || got.Path != test.path):
			t.Errorf("ParseTarget(%q) = %+v, %v; want %s %s", test.in, got, err, test.host, test.path)
		}
	}
}

// FuzzParseTarget holds that what is accepted makes one request line, to that path.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"a.example", "a.example:5000/team/app:1.2", "https://a/%2F?", "[::1]/x", "a/b@c:d", "a/ b", "a/\r\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		var b strings.Builder
		req := &http.Request{Method: http.MethodGet, Host: target.Host, URL: &url.URL{Scheme: "https", Host: target.Host, Opaque: target.Path}}
		if err := req.Write(&b); err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(b.String(), "\r\n")
		if want := "GET " + target.Path + " HTTP/1.1"; line != want {
			t.Errorf("%q makes %q, want %q", s, line, want)
		}
		if !strings.HasPrefix(target.Path, "/") || strings.ContainsAny(target.Path, " \r\n?#") {
			t.Errorf("%q has the path %q", s, target.Path)
		}
	})
}
