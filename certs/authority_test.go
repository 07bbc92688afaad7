package certs

import (
	"strings"
	"testing"
)

func TestParseAuthority(t *testing.T) {
	good := map[string]string{
		"registry.example:443":         "registry.example:443",
		"Registry.EXAMPLE:5000":        "registry.example:5000",
		"registry.example.:443":        "registry.example:443",
		"my_registry:5000":             "my_registry:5000",
		"bücher.example:443":           "xn--bcher-kva.example:443",
		"192.0.2.1:5000":               "192.0.2.1:5000",
		"[2001:DB8::1]:443":            "[2001:db8::1]:443",
		"[::ffff:192.0.2.1]:443":       "192.0.2.1:443",
		"localhost:65535":              "localhost:65535",
		"a:1":                          "a:1",
		strings.Repeat("a", 63) + ":1": strings.Repeat("a", 63) + ":1",
	}
	for in, want := range good {
		if got, err := ParseAuthority(in); err != nil || got != want {
			t.Errorf("ParseAuthority(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	bad := []string{
		"", ":", ":443", "host", "host:", "host:0", "host:00443", "host:65536", "host:-1", "host:+1", "host:http",
		"user@host:443", "user:pw@host:443", "host/path:443", "host:443/", "/etc:443", "..:443", "a..b:443", "../x:443", ".:443",
		"host\\x:443", "h%6fst:443", "[fe80::1%25eth0]:443", "[fe80::1%eth0]:443", "host\x00:443", "host\n:443", "ho st:443",
		"::1:443", "[::1]", "[::1", "[]:443", "[192.0.2.1]:443", "[host]:443", "[::1]x:443",
		"127.1:443", "0x7f.1:443", "2130706433:443", "0x7f000001:443", "1.2.3.4.5:443", "256.1.1.1:443", "host.1:443",
		"*.example:443", "host:443:443", "a,b:443", "\u2028:443", "xn--\xff:443", "host?x:443", "host#x:443",
		strings.Repeat("a", 64) + ":443", strings.Repeat("a.", 127) + "a:443",
	}
	for _, in := range bad {
		if got, err := ParseAuthority(in); err == nil {
			t.Errorf("ParseAuthority(%q) = %q, want an error", in, got)
		} else if strings.ContainsAny(err.Error(), "\x00\n\u2028") {
			t.Errorf("ParseAuthority(%q): error holds raw control characters: %q", in, err)
		}
	}
}

func TestHostDirectoryNames(t *testing.T) {
	for dir, want := range map[string]string{
		"registry.example":        "registry.example:443",
		"registry.example:443":    "registry.example:443",
		"registry.example_443_":   "registry.example:443",
		"Registry.Example:5000":   "registry.example:5000",
		"registry.example_5000_":  "registry.example:5000",
		"my_registry_5000_":       "my_registry:5000",
		"my_registry":             "my_registry:443",
		"192.0.2.1":               "192.0.2.1:443",
		"[2001:db8::1]:5000":      "[2001:db8::1]:5000",
		"[2001:db8::1]":           "[2001:db8::1]:443",
		"[2001:db8::1]_5000_":     "[2001:db8::1]:5000",
		"2001:db8::1":             "[2001:db8::1]:443",
		"bücher.example":          "xn--bcher-kva.example:443",
		"registry.example.":       "registry.example:443",
		"registry.example:":       "",
		"registry.example:x":      "",
		"registry example":        "",
		"*.example":               "",
		"user@registry.example":   "",
		"registry.example:5000:1": "",
	} {
		got, _, err := parseDirName(dir)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("parseDirName(%q) = %q, %v; want %q", dir, got, err, want)
		}
	}
}

// A canonical authority stays as it is, names exactly one host directory, and can
// never leave the root.
func FuzzParseAuthority(f *testing.F) {
	for _, s := range []string{"registry.example:443", "[::1]:5000", "BÜCHER.example.:1", "../x:443", "a%2eb:443", "[fe80::1%25x]:1", "127.1:80", "x_5000_:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		canonical, err := ParseAuthority(s)
		if err != nil {
			return
		}
		if again, err := ParseAuthority(canonical); err != nil || again != canonical {
			t.Errorf("ParseAuthority(%q) = %q, which parses to %q, %v", s, canonical, again, err)
		}
		if strings.ContainsAny(canonical, "/\\%@\x00 ") || strings.Contains(canonical, "..") || strings.ToLower(canonical) != canonical {
			t.Errorf("ParseAuthority(%q) = %q holds what it must not", s, canonical)
		}
		if named, _, err := parseDirName(canonical); err != nil || named != canonical {
			t.Errorf("directory %q stands for %q, %v", canonical, named, err)
		}
	})
}

func TestNothingSecretOfAnAuthorityIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"registry.example:443":                 "registry.example:443",
		"user:s3cret@registry.example:443":     "registry.example:443",
		"registry.example:443?token=s3cret":    "registry.example:443",
		"registry.example/v2/":                 "registry.example/v2/",
		"https://registry.example:443/#s3cret": "https://registry.example:443/",
		"https://u:s3cret@registry.example/?q": "https://registry.example/",
		"registry.example/?mail=u@s3cret":      "(not shown)",
		"u:s3/cret@registry.example:443":       "(not shown)",
		"s3cret@@registry.example:443":         "registry.example:443",
	} {
		if got := WithoutSecrets(text); got != want {
			t.Errorf("%s is shown as %q, want %q", text, got, want)
		}
		if _, err := ParseAuthority(text); err != nil && strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
