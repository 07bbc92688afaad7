package environment

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEachFormatIsReadByItsReader(t *testing.T) {
	variables := []Variable{{"HTTPS_PROXY", "http://127.0.0.1:3128"}, {"HTTP_PROXY", "http://127.0.0.1:3128"}, {"NO_PROXY", "a,b"}, {"SSL_CERT_FILE", `/a b/it's 100%"\`}}
	for format, want := range map[string]string{
		"sh":   "export HTTPS_PROXY=http://127.0.0.1:3128\nexport HTTP_PROXY=http://127.0.0.1:3128\nexport NO_PROXY=a,b\nexport SSL_CERT_FILE='/a b/it'\\''s 100%\"\\'\n",
		"fish": "set -gx HTTPS_PROXY 'http://127.0.0.1:3128'\nset -gx HTTP_PROXY 'http://127.0.0.1:3128'\nset -gx NO_PROXY 'a,b'\nset -gx SSL_CERT_FILE '/a b/it\\'s 100%\"\\\\'\n",
		"systemd": "[Service]\nEnvironment=\"HTTPS_PROXY=http://127.0.0.1:3128\"\nEnvironment=\"HTTP_PROXY=http://127.0.0.1:3128\"\nEnvironment=\"NO_PROXY=a,b\"\n" +
			`Environment="SSL_CERT_FILE=/a b/it's 100%%\"\\"` + "\n",
		"docker": "{\n  \"proxies\": {\n    \"http-proxy\": \"http://127.0.0.1:3128\",\n    \"https-proxy\": \"http://127.0.0.1:3128\",\n    \"no-proxy\": \"a,b\"\n  }\n}\n",
	} {
		var out bytes.Buffer
		if err := Write(&out, format, variables); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", format, err, out.String(), want)
		}
	}
	var out bytes.Buffer
	var object map[string]string
	if err := Write(&out, "json", variables); err != nil || json.Unmarshal(out.Bytes(), &object) != nil || object["SSL_CERT_FILE"] != variables[3].Value {
		t.Errorf("json: %v\n%s", err, out.String())
	}
	if err := Write(&out, "csh", variables); err == nil || !strings.Contains(err.Error(), "sh, fish, docker, systemd, json") {
		t.Errorf("csh: %v", err)
	}
}

// What is quoted is what sh reads, byte for byte.
func FuzzQuoteShell(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("there is no sh here")
	}
	for _, s := range []string{"", "plain", "it's", "$(id) `id` ${HOME}", "a\nb", "-n", "~", "*", `\`, "!x", "é", "\xff", "a=b;c&d|e<f>g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			return // no variable has one
		}
		var script bytes.Buffer
		if err := Write(&script, "sh", []Variable{{"V", s}}); err != nil {
			t.Fatal(err)
		}
		script.WriteString(`printf '%s' "$V"`)
		cmd := exec.Command(sh)
		cmd.Stdin = &script
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != s {
			t.Errorf("%q came back as %q (%v)", s, out, err)
		}
	})
}

// Each assignment stays one line of a unit, whose escapes lead back to it.
func FuzzQuoteSystemd(f *testing.F) {
	f.Add("A=%h\n\"x\\")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := quoteSystemd(s)
		if strings.ContainsAny(quoted, "\n\r") || !utf8.ValidString(quoted) && utf8.ValidString(s) {
			t.Fatalf("%q is %q", s, quoted)
		}
		back := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\t`, "\t", `\r`, "\r", "%%", "%").Replace(quoted[1 : len(quoted)-1])
		if back != s {
			t.Errorf("%q came back as %q", s, back)
		}
	})
}
