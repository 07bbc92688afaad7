package environment

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// env is a caller's environment.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func write(t *testing.T, name string, certificates ...*throwaway.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var data []byte
	for _, c := range certificates {
		data = append(append(data, "# "+c.X509.Subject.CommonName+"\n"...), c.CertPEM()...)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// in returns the names of the certificates in a file.
func in(t *testing.T, path string) []string {
	t.Helper()
	var out []string
	for _, der := range rootsAt(path).ders {
		for name, c := range known() {
			if bytes.Equal(der, c.X509.Raw) {
				out = append(out, name)
			}
		}
	}
	return out
}

var certificates = map[string]*throwaway.Certificate{}

// known are the CAs of the tests, made once.
func known() map[string]*throwaway.Certificate {
	if len(certificates) == 0 {
		for _, name := range []string{"system", "corp", "git", "ours"} {
			certificates[name] = throwaway.NewCA(name)
		}
	}
	return certificates
}

func value(variables []Variable, name string) string {
	for _, v := range variables {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func TestClientsTrustTheCAAndWhatTheyTrusted(t *testing.T) {
	ca := known()
	system := write(t, "system.pem", ca["system"])
	more := filepath.Dir(write(t, "corp.pem", ca["corp"], ca["system"]))
	git := write(t, "git.pem", ca["git"])
	getenv := env("SSL_CERT_FILE", system, "SSL_CERT_DIR", "/nonexistent:"+more, "GIT_SSL_CAINFO", git, "REQUESTS_CA_BUNDLE", more,
		"PIP_CERT", "/nonexistent", "CURL_CA_BUNDLE", system, "AWS_CA_BUNDLE", git)
	dir := t.TempDir()
	variables, err := WriteTrust(dir, ca["ours"].X509, getenv)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"SSL_CERT_FILE":       {"system", "corp", "ours"},
		"CURL_CA_BUNDLE":      {"system", "corp", "ours"},
		"NODE_EXTRA_CA_CERTS": {"system", "corp", "ours"},
		"PIP_CERT":            {"system", "corp", "ours"}, // that it named is not there
		"GIT_SSL_CAINFO":      {"git", "ours"},
		"AWS_CA_BUNDLE":       {"git", "ours"},
		"REQUESTS_CA_BUNDLE":  {"corp", "system", "ours"},
	} {
		if got := in(t, value(variables, name)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
	for _, name := range TrustNames() {
		if value(variables, name) == "" {
			t.Errorf("%s is not set", name)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v; want one for each list of CAs", files, err)
	}
}

func TestABundleWithoutSystemRootsHasTheCAAlone(t *testing.T) {
	ca := known()["ours"]
	variables, err := WriteTrust(t.TempDir(), ca.X509, env("SSL_CERT_FILE", "/nonexistent", "SSL_CERT_DIR", "/nonexistent"))
	if err != nil {
		t.Fatal(err)
	}
	if got := in(t, value(variables, "SSL_CERT_FILE")); !slices.Equal(got, []string{"ours"}) {
		t.Errorf("%v", got)
	}
}

func TestJavaKnowsCAsOfOneNameApart(t *testing.T) {
	twin, ours := throwaway.NewCA("system"), known()["ours"]
	system := write(t, "system.pem", known()["system"], twin)
	dir := filepath.Join(t.TempDir(), `a "b" c`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, listed := range [][]string{{"registry.example:443"}, {"localhost:5000"}} {
		v, err := WriteJava(dir, "127.0.0.1:3128", ours.X509, listed, env("SSL_CERT_FILE", system, "SSL_CERT_DIR", "/nonexistent", "JAVA_TOOL_OPTIONS", "-Xmx1g"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "truststore.p12"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkcs12.DecodeTrustStore(data, "")
		if err != nil || len(got) != 3 {
			t.Errorf("%d certificates, %v", len(got), err)
		}
		want := []string{"-Xmx1g ", " -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128 ", ` '-Djavax.net.ssl.trustStore=` + dir + `/truststore.p12' `, " -Dhttp.nonProxyHosts="}
		if !strings.HasPrefix(listed[0], "localhost") {
			want[3] += "localhost|127.*|[::1] "
		} else {
			want[3] += " "
		}
		for _, w := range want {
			if !strings.Contains(v.Value, w) {
				t.Errorf("%s lacks %q", v.Value, w)
			}
		}
	}
}

func TestListedHostsDoNotBypassTheProxy(t *testing.T) {
	listed := []string{"registry.corp.example:5000", "10.1.2.3:443", "localhost:5000"}
	for _, c := range []struct{ noProxy, kept string }{
		{"", ""},
		{"*", ""},
		{"other.example, .corp.example ,corp.example,example", "other.example"},
		{"registry.corp.example", ""},
		{"REGISTRY.Corp.Example.", ""},
		{"*.corp.example", ""},
		{"registry.corp.example:5000", ""},
		{"registry.corp.example:443", "registry.corp.example:443"},
		{"orp.example,stry.corp.example", "orp.example,stry.corp.example"},
		{"10.0.0.0/8,192.168.0.0/16", "192.168.0.0/16"},
		{"10.1.2.3,10.1.2.4", "10.1.2.4"},
		{"localhost,127.0.0.1,::1", "127.0.0.1,::1"},
		{",, ,", ""},
	} {
		kept, dropped := KeepProxied(c.noProxy, listed)
		if kept != c.kept {
			t.Errorf("KeepProxied(%q) = %q, dropped %q; want %q", c.noProxy, kept, dropped, c.kept)
		}
		if none, dropped := KeepProxied(c.noProxy, nil); len(dropped) > 0 {
			t.Errorf("without listed hosts %q is %q, dropped %q", c.noProxy, none, dropped)
		}
	}
}

func TestGitKeepsWhatTheCallerConfigured(t *testing.T) {
	for count, want := range map[string]string{"": "[GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.proxy GIT_CONFIG_VALUE_0=u]", "2": "[GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_2=http.proxy GIT_CONFIG_VALUE_2=u]", "x": "[GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.proxy GIT_CONFIG_VALUE_0=u]"} {
		if got := fmt.Sprint(Git("u", env("GIT_CONFIG_COUNT", count))); got != want {
			t.Errorf("%q: %s, want %s", count, got, want)
		}
	}
}

func TestMergeReplacesAndKeepsTheRest(t *testing.T) {
	got := Merge([]string{"A=1", "HTTPS_PROXY=old", "B", "=C:=x", "A=2"}, []Variable{{"HTTPS_PROXY", "new"}, {"NO_PROXY", ""}})
	if want := []string{"A=1", "B", "=C:=x", "A=2", "HTTPS_PROXY=new", "NO_PROXY="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOtherBlocksOfABundleAreLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mixed.pem")
	ca := known()["corp"]
	data := append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), ca.CertPEM()...)
	if err := os.WriteFile(path, append(data, ca.CertPEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	set := rootsAt(path)
	if len(set.ders) != 1 || !set.Contains(ca.X509) || set.Contains(known()["ours"].X509) {
		t.Errorf("%d certificates", len(set.ders))
	}
}
