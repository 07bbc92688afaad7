package upstreamproxy

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// Whatever is wrong with it, a setting that is there never means "no proxy", as it does
// to httpproxy; and since nobody knows which part of it is the password, none is shown.
func TestAnUnusableSettingIsAnErrorThatShowsNoPartOfIt(t *testing.T) {
	const shape = "is not the URL of a proxy"
	for _, c := range []struct{ value, says string }{
		{"socks5://user:s3cret@squid:1080", "names a socks5 proxy, which is not supported; use http://"},
		{"socks5h://squid:1080", "names a socks5h proxy"},
		{"ftp://squid", "names a ftp proxy"},
		{"http://", shape},
		{"http:///path", shape},
		{"http://:3128", shape},
		{"://squid", shape},
		{"http://user:s3cret#s3cret@squid:3128", shape},
		{"http://user:s3cret/s3cret@squid:3128", shape},
		{"http://user:12/s3cret@squid:3128", shape}, // user is the host and 12 the port
		{"http://user:12?s3cret@squid:3128", shape},
		{"http://user:12#s3cret@squid:3128", shape},
		{"http://user:s3cret%zz@squid:3128", shape},
		{"http://user:s3cret^@squid:3128", shape},
		{"http://user:s3cret @squid:3128", shape},
		{"http://squid:3128/s3cret", shape},
		{"http://squid:3128?s3cret", shape},
		{"http://squid:s3cret", shape},
		{"http://squid\n", shape},
		{"http://squid:0", "has a port that is not a number from 1 to 65535"},
		{"http://squid:65536", "has a port"},
		{"http://us%3Aer:s3cret@squid", "has a user name with a colon"},
	} {
		for name, config := range map[string]Config{
			"upstream_proxy": {URL: c.value},
			"HTTPS_PROXY":    {Getenv: env("HTTPS_PROXY=" + c.value)},
			"http_proxy":     {Getenv: env("http_proxy=" + c.value)},
		} {
			config.Dial = new(net.Dialer).DialContext
			_, err := New(config)
			if err == nil {
				t.Errorf("%s=%q is taken", name, c.value)
				continue
			}
			if got := err.Error(); !strings.HasPrefix(got, name+" "+c.says) || strings.Contains(got, "s3cret") || strings.Contains(got, "zz") {
				t.Errorf("%s=%q: %s\nwant %s %s, and nothing of the password", name, c.value, got, name, c.says)
			}
			var e *Error
			if !errors.Is(err, ErrInvalid) || !errors.As(err, &e) || e.Setting != name {
				t.Errorf("%s=%q: %#v; want an ErrInvalid about %s", name, c.value, err, name)
			}
		}
	}
}

func TestDialIsRequired(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a dialer without Dial was made")
	}
}
