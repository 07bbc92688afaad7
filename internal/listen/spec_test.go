package listen

import (
	"strings"
	"testing"
	"unicode"
)

func TestParseGivesCanonicalText(t *testing.T) {
	long := "/" + strings.Repeat("x", 106)
	for text, want := range map[string]string{
		"127.0.0.1:3128":                   "",
		"0.0.0.0:3128":                     "",
		"[::]:3128":                        "",
		":3128":                            "",
		":0":                               "",
		"10.1.2.3:65535":                   "",
		"127.0.0.1:03128":                  "127.0.0.1:3128",
		"localhost:3128":                   "127.0.0.1:3128",
		"LocalHost:3128":                   "127.0.0.1:3128",
		"[::1]:3128":                       "",
		"[0:0::1]:3128":                    "[::1]:3128",
		"[::ffff:127.0.0.1]:3128":          "127.0.0.1:3128",
		"[fe80::1%eth0]:3128":              "",
		"unix:/run/certproxy/proxy.sock":   "",
		"unix:///run/proxy.sock":           "unix:/run/proxy.sock",
		"unix:/run/./x//y.sock":            "unix:/run/x/y.sock",
		"unix:/run/a=b.sock":               "",
		"unix:/run/a:b.sock":               "",
		"unix:" + long:                     "",
		"unix:/x,mode=0600":                "unix:/x",
		"unix:/x,mode=0666":                "",
		"unix:/x,mode=666":                 "unix:/x,mode=0666",
		"unix:/x,group=docker":             "",
		"unix:/x,group=999":                "",
		"unix:/x,group=docker,mode=0660":   "unix:/x,group=docker",
		"unix:/x,group=docker,mode=0620":   "unix:/x,mode=0620,group=docker",
		"unix:/x,group=docker,mode=600":    "unix:/x,mode=0600,group=docker",
		"systemd:certproxy.socket":         "",
		"systemd:a b,c=d":                  "",
		"tls:127.0.0.1:3129":               "",
		"tls:localhost:3129":               "tls:127.0.0.1:3129",
		"tls:systemd:gateway":              "",
		"tls:unix:/run/x.sock,group=users": "",
	} {
		if want == "" {
			want = text
		}
		spec, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := spec.String(); got != want {
			t.Errorf("Parse(%q) = %q, want %q", text, got, want)
		}
		if again, err := Parse(want); err != nil || again != spec {
			t.Errorf("Parse(%q) = %#v, %v, want %#v", want, again, err, spec)
		}
	}
}

func TestParseTeaches(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "not of the form HOST:PORT, unix:PATH or systemd:NAME",
		"3128":                         "write 127.0.0.1:3128",
		"127.0.0.1":                    "is not of the form HOST:PORT: it has no port; write 127.0.0.1:3128",
		"::1":                          "is not of the form HOST:PORT: it has no port; write [::1]:3128",
		"[::1]":                        "is not of the form HOST:PORT: it has no port; write [::1]:3128",
		"::1:3128":                     "write [::1:3128]:3128",
		"127.0.0.1:":                   "no port from 0 to 65535",
		"127.0.0.1:65536":              "no port from 0 to 65535",
		"127.0.0.1:-1":                 "no port from 0 to 65535",
		"127.0.0.1:http":               "no port from 0 to 65535",
		"*:3128":                       "write :3128 for all addresses",
		"proxy.example:3128":           "has a name for a host; write an address of this machine (ip address lists them), or :3128 for all",
		"127.0.0.01:3128":              "not an IP address; write it as in 127.0.0.1:3128",
		"1.2.3:3128":                   "not an IP address",
		"[1::2::3]:1":                  "not an IP address",
		"[127.0.0.1]:3128":             "brackets, which are for IPv6",
		"[]:3128":                      "brackets, which are for IPv6",
		"224.0.0.1:1":                  "multicast",
		"[ff02::1%eth0]:1":             "multicast",
		"[fe80::1]:3128":               "as in [fe80::1%eth0]:3128",
		"[::1%lo]:1":                   "only link-local addresses have",
		"[fe80::1%a b]:1":              "not the name of an interface",
		"[fe80::1%a\x00]:1":            "not the name of an interface",
		"http://127.0.0.1:3128":        "is a URL; write HOST:PORT",
		"https://127.0.0.1:3128":       "is a URL; write tls:HOST:PORT",
		"tls:tls:127.0.0.1:1":          "not of the form",
		"unix:":                        "no absolute path",
		"unix:proxy.sock":              "no absolute path; write it from the root",
		"unix:@proxy":                  "abstract socket, which any user of this network namespace can take",
		"unix:/run/":                   "is a directory",
		"unix:/":                       "is a directory",
		"unix:/.":                      "is a directory",
		"unix:/run/../x":               "has .. in its path",
		"unix:/run/..":                 "has .. in its path",
		"unix:/a\nb":                   "cannot be printed",
		"unix:/a\xff":                  "cannot be printed",
		"unix:/" + longName(107):       "a path of 108 bytes, and the path of a unix socket has at most 107",
		"unix:/x,":                     "ends with a comma",
		"unix:/x,mode=0660,":           "ends with a comma",
		"unix:/x,mode=":                "write it in octal",
		"unix:/x,mode=0888":            "write it in octal",
		"unix:/x,mode=u+rw":            "write it in octal",
		"unix:/x,mode=+660":            "write it in octal",
		"unix:/x,mode=01777":           "write it in octal",
		"unix:/x,mode=0444":            "with which nobody may connect",
		"unix:/x,mode=0000":            "with which nobody may connect",
		"unix:/x,mode=0600,mode=0660":  "mode= twice",
		"unix:/x,group=":               "write the name or number of a group",
		"unix:/x,group=a b":            "write the name or number of a group",
		"unix:/x,group=a,group=b":      "group= twice",
		"unix:/x,owner=root":           `the option "owner=root"; there are mode= and group=, and a path cannot have a comma`,
		"systemd:":                     "has no name",
		"systemd:a:b":                  "no colon",
		"systemd:a\tb":                 "printable ASCII",
		"systemd:" + longName(256):     "at most 255",
		"//u:secret@host":              "no port from 0 to 65535",
		"::0%00\x00":                   "not of the form",
		"127.0.0.1:+1":                 "no port from 0 to 65535",
		"http://u:secret@h:1?q=secret": "is a URL",
		"u:secret@h:1":                 "not of the form",
	} {
		spec, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %v, want an error with %q", text, spec, want)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want %q", text, err, want)
		}
		if spec != (Spec{}) {
			t.Errorf("Parse(%q) gives %#v with its error", text, spec)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("Parse(%q) tells the password: %v", text, err)
		}
	}
}

func longName(n int) string { return strings.Repeat("x", n) }

func TestParseForward(t *testing.T) {
	for text, want := range map[string][2]string{
		"127.0.0.1:5001=registry.example:5000":             {"127.0.0.1:5001", "registry.example:5000"},
		"localhost:0=Registry.Example.":                    {"127.0.0.1:0", "registry.example:443"},
		"unix:/run/a=b.sock=registry.example":              {"unix:/run/a=b.sock", "registry.example:443"},
		"unix:/x,mode=0666=registry.example":               {"unix:/x,mode=0666", "registry.example:443"},
		"tls:systemd:registry=[2001:db8::1]:5000":          {"tls:systemd:registry", "[2001:db8::1]:5000"},
		"unix:/x,mode=0620,group=docker=registry.example:": {"", ""},
	} {
		spec, host, err := ParseForward(text)
		if want[0] == "" {
			if err == nil {
				t.Errorf("ParseForward(%q) = %v, %q, want an error", text, spec, host)
			}
			continue
		}
		if err != nil || spec.String() != want[0] || host != want[1] {
			t.Errorf("ParseForward(%q) = %v, %q, %v, want %q", text, spec, host, err, want)
		}
	}
}

func TestParseForwardTeaches(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:5001":            "not of the form ADDR=HOST[:PORT]",
		"":                          "not of the form ADDR=HOST[:PORT]",
		"=registry.example":         "not of the form HOST:PORT",
		"127.0.0.1:5001=":           "the host behind 127.0.0.1:5001=",
		"127.0.0.1:5001=a b":        "the host behind 127.0.0.1:5001=",
		"127.0.0.1:5001=u:secret@h": "the host behind 127.0.0.1:5001=",
		"unix:/x,mode=0660":         "names no host; write unix:/x,mode=0660=HOST[:PORT]",
		"proxy:5001=h":              "has a name for a host",
	} {
		spec, host, err := ParseForward(text)
		if err == nil {
			t.Errorf("ParseForward(%q) = %v, %q, want an error", text, spec, host)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseForward(%q): %v, want %q", text, err, want)
		}
	}
}

func TestSpecKnowsWhoCanReachIt(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1:1": false, "127.9.9.9:1": false, "[::1]:1": false, "[::ffff:127.0.0.1]:1": false, "localhost:1": false,
		"unix:/x": false, "systemd:x": false, "tls:127.0.0.1:1": false,
		":1": true, "0.0.0.0:1": true, "[::]:1": true, "10.0.0.1:1": true, "[fe80::1%eth0]:1": true, "tls::1": true,
	} {
		if got := mustParse(t, text).Beyond(); got != want {
			t.Errorf("%s: Beyond = %v", text, got)
		}
	}
}

func mustParse(t *testing.T, text string) Spec {
	t.Helper()
	spec, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What is read is written such that it is read as the same, and in a way that can be logged.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"127.0.0.1:3128", ":3128", "[fe80::1%eth0]:0", "unix:/run/x,mode=0660,group=docker", "unix:/x,group=a,mode=777",
		"systemd:certproxy.socket", "tls:systemd:x", "tls:[::]:1", "unix:/a/./b", "[::ffff:1.2.3.4]:01", "http://u:p@h", "unix:/x,mode=0,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := Parse(text)
		if err != nil {
			holdsNoControl(t, err.Error())
			return
		}
		holdsNoControl(t, spec.String())
		again, err := Parse(spec.String())
		if err != nil || again != spec {
			t.Fatalf("Parse(%q) = %#v, whose text %q is read as %#v, %v", text, spec, spec, again, err)
		}
		if spec.Kind == Unix && (len(spec.Addr) > maxPath || spec.Addr[0] != '/' || spec.Mode&^0o777 != 0 || spec.Mode&0o222 == 0) {
			t.Fatalf("Parse(%q) = %#v", text, spec)
		}
	})
}

func FuzzParseForward(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:5001=registry.example:5000", "unix:/x,mode=0660=h", "unix:/x,mode=0660", "=", "systemd:a=b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, host, err := ParseForward(text)
		if err != nil {
			holdsNoControl(t, err.Error())
			return
		}
		again, same, err := ParseForward(spec.String() + "=" + host)
		if err != nil || again != spec || same != host {
			t.Fatalf("ParseForward(%q) = %#v, %q, which is read as %#v, %q, %v", text, spec, host, again, same, err)
		}
	})
}

func holdsNoControl(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(text, unicode.IsControl) {
		t.Fatalf("%q has a control character", text)
	}
}
