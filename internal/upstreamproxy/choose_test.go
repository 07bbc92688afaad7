package upstreamproxy

import (
	"net/url"
	"testing"

	"golang.org/x/net/http/httpproxy"
)

func TestNoProxyMeansWhatItMeansToGoPrograms(t *testing.T) {
	cases := []struct {
		noProxy, host string
		proxied       bool
	}{
		{"", "registry.example:443", true},
		{"", "registry.example:5000", true},
		{"", "10.1.2.3:443", true},
		{"", "[2001:db8::1]:443", true},

		// What never goes through a proxy, whatever NO_PROXY says.
		{"", "localhost:443", false},
		{"", "127.0.0.1:5000", false},
		{"", "127.8.9.10:5000", false},
		{"", "[::1]:443", false},
		{"", "[::ffff:127.0.0.1]:443", false},
		{"", "registry.localhost:443", true},
		{"", "0.0.0.0:443", true},

		{"*", "registry.example:443", false},
		{"other.example,*", "10.1.2.3:443", false},

		{"registry.example", "registry.example:443", false},
		{"registry.example", "registry.example:5000", false},
		{"registry.example", "eu.registry.example:443", false},
		{"registry.example", "myregistry.example:443", true},
		{"registry.example", "registry.example.org:443", true},
		{"REGISTRY.Example", "registry.example:443", false},
		{" other.example , registry.example ", "registry.example:443", false},
		{"other.example registry.example", "registry.example:443", true}, // only commas separate

		{".example", "registry.example:443", false},
		{".registry.example", "registry.example:443", true},
		{".registry.example", "eu.registry.example:443", false},
		{"*.registry.example", "eu.registry.example:443", false},
		{"*.registry.example", "registry.example:443", true},
		{"reg*.example", "registry.example:443", true},

		{"registry.example:443", "registry.example:443", false},
		{"registry.example:443", "registry.example:5000", true},
		{"registry.example:443", "eu.registry.example:443", false},
		{"http://registry.example", "registry.example:443", true}, // a URL is no host

		{"10.1.2.3", "10.1.2.3:5000", false},
		{"10.1.2.3", "10.1.2.4:5000", true},
		{"10.1.2.3:5000", "10.1.2.3:5000", false},
		{"10.1.2.3:5000", "10.1.2.3:443", true},
		{"10.0.0.0/8", "10.1.2.3:443", false},
		{"10.0.0.0/8", "11.1.2.3:443", true},
		{"10.0.0.0/8", "registry.example:443", true}, // nothing is resolved
		{"10.", "10.1.2.3:443", true},

		{"2001:db8::1", "[2001:db8::1]:443", false},
		{"[2001:db8::1]:443", "[2001:db8::1]:443", false},
		{"[2001:db8::1]:443", "[2001:db8::1]:5000", true},
		{"2001:db8::/32", "[2001:db8::7]:443", false},
		{"2001:db8::/32", "[2001:db9::7]:443", true},
		{"10.1.2.3", "[::ffff:10.1.2.3]:443", false},

		{"bücher.example", "xn--bcher-kva.example:443", false},
		{",, :443, .", "registry.example:443", true}, // nonsense is nothing
	}
	for _, c := range cases {
		const proxy = "http://squid.example:3128"
		d := newDialer(t, Config{Getenv: env("HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, "NO_PROXY="+c.noProxy)})
		model := (&httpproxy.Config{HTTPSProxy: proxy, HTTPProxy: proxy, NoProxy: c.noProxy}).ProxyFunc()
		for _, scheme := range []string{"https", "http"} {
			if got := d.choose(scheme, c.host) != nil; got != c.proxied {
				t.Errorf("NO_PROXY=%q: %s://%s goes through the proxy: %v; want %v", c.noProxy, scheme, c.host, got, c.proxied)
			}
			if u, err := model(&url.URL{Scheme: scheme, Host: c.host}); err != nil || (u != nil) != c.proxied {
				t.Errorf("NO_PROXY=%q: httpproxy itself says %v, %v for %s://%s", c.noProxy, u, err, scheme, c.host)
			}
		}
		// In the configuration, in either case: NO_PROXY still holds.
		d = newDialer(t, Config{URL: proxy, Getenv: env("no_proxy=" + c.noProxy)})
		if got := d.choose("https", c.host) != nil; got != c.proxied {
			t.Errorf("upstream_proxy with no_proxy=%q: %s goes through the proxy: %v; want %v", c.noProxy, c.host, got, c.proxied)
		}
	}
}

func TestTheSettingsDecideWhichProxy(t *testing.T) {
	const direct = ""
	cases := []struct {
		name        string
		url         string
		env         []string
		https, http string // where requests go
		shown       string
	}{
		{"nothing is set", "", nil, direct, direct, "direct"},
		{"each variable is for its scheme", "", []string{"HTTPS_PROXY=http://a:1", "HTTP_PROXY=http://b:2"}, "http://a:1", "http://b:2",
			"https: http://a:1 (HTTPS_PROXY), http: http://b:2 (HTTP_PROXY)"},
		{"HTTPS_PROXY alone", "", []string{"HTTPS_PROXY=http://a:1"}, "http://a:1", direct, "https: http://a:1 (HTTPS_PROXY), http: direct"},
		{"HTTP_PROXY alone", "", []string{"HTTP_PROXY=http://b:2"}, direct, "http://b:2", "https: direct, http: http://b:2 (HTTP_PROXY)"},
		{"lower case comes first", "", []string{"HTTPS_PROXY=http://a:1", "https_proxy=http://c:3"}, "http://c:3", direct,
			"https: http://c:3 (https_proxy), http: direct"},
		{"ALL_PROXY is not read", "", []string{"ALL_PROXY=http://a:1", "all_proxy=http://a:1"}, direct, direct, "direct"},
		{"the configuration replaces both", "http://s:4", []string{"HTTPS_PROXY=http://a:1", "HTTP_PROXY=socks5://b:2"}, "http://s:4", "http://s:4",
			"http://s:4 (upstream_proxy)"},
		{"direct ignores the environment", "direct", []string{"HTTPS_PROXY=http://a:1", "HTTP_PROXY=nonsense://"}, direct, direct, "direct"},
		{"direct in any case", "Direct", []string{"HTTPS_PROXY=http://a:1"}, direct, direct, "direct"},
		{"an https proxy", "https://s:4", nil, "https://s:4", "https://s:4", "https://s:4 (upstream_proxy)"},
		{"default port of http", "http://s", nil, "http://s:80", "http://s:80", "http://s:80 (upstream_proxy)"},
		{"default port of https", "https://s/", nil, "https://s:443", "https://s:443", "https://s:443 (upstream_proxy)"},
		{"without a scheme", "s.example:3128", nil, "http://s.example:3128", "http://s.example:3128", "http://s.example:3128 (upstream_proxy)"},
		{"an address without a scheme", "10.0.0.1:3128", nil, "http://10.0.0.1:3128", "http://10.0.0.1:3128", "http://10.0.0.1:3128 (upstream_proxy)"},
		{"an IPv6 address", "http://[2001:db8::1]:3128", nil, "http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128 (upstream_proxy)"},
		{"an IPv6 address without a port", "http://[2001:db8::1]", nil, "http://[2001:db8::1]:80", "http://[2001:db8::1]:80", "http://[2001:db8::1]:80 (upstream_proxy)"},
		{"a name that is not ASCII", "http://bücher.example:1", nil, "http://xn--bcher-kva.example:1", "http://xn--bcher-kva.example:1", "http://xn--bcher-kva.example:1 (upstream_proxy)"},
		{"credentials", "http://user:s3cret@s:4", nil, "http://user:s3cret@s:4", "http://user:s3cret@s:4", "http://user:xxxxx@s:4 (upstream_proxy)"},
		{"credentials without a scheme", "user:s3cret@s:4", nil, "http://user:s3cret@s:4", "http://user:s3cret@s:4", "http://user:xxxxx@s:4 (upstream_proxy)"},
		{"a token", "http://s3cret@s:4", nil, "http://s3cret@s:4", "http://s3cret@s:4", "http://xxxxx@s:4 (upstream_proxy)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := newDialer(t, Config{URL: c.url, Getenv: env(c.env...)})
			for scheme, want := range map[string]string{"https": c.https, "http": c.http} {
				got := direct
				if p := d.choose(scheme, "registry.example"); p != nil {
					got = p.url.String()
				}
				if got != want {
					t.Errorf("%s goes to %s; want %q", scheme, got, want)
				}
			}
			if got := d.String(); got != c.shown {
				t.Errorf("String is %q; want %q", got, c.shown)
			}
		})
	}
}
