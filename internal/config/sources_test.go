package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// flag is a setting as a flag makes it.
func flag(t *testing.T, name string, values ...string) Setting {
	t.Helper()
	for _, k := range Keys() {
		if k.Flag == name {
			return ByFlag(k, values...)
		}
	}
	t.Fatalf("there is no flag --%s", name)
	return Setting{}
}

func TestFlagsOverrideVariablesAndThoseTheFile(t *testing.T) {
	const file = "pair_memory: 1m\nidle_timeout: 1m\nlog_level: warn\nallow_users: [a, b]\nlisten: ['127.0.0.1:1']\n" +
		"hosts: {h.example: {pair_memory: 9m, allow_users: [z]}, i.example: {renegotiation: true}}\n"
	variables, unknown, _ := Variables([]string{"CERTPROXY_PAIR_MEMORY=2m", "CERTPROXY_LOG_LEVEL=error", "CERTPROXY_ALLOW_USERS=c, d", "CERTPROXY_IDLE_TIMEOUT=", "PATH=x", "CERTPROXY_CONFIG=y"})
	c, origins, mistakes := Read(Sources{File: "config.yaml", Data: []byte(file), Variables: variables, Flags: []Setting{flag(t, "pair-memory", "3m"), flag(t, "listen", "127.0.0.1:2", "127.0.0.1:3")}})
	if len(unknown)+len(mistakes) > 0 {
		t.Fatal(unknown, mistakes)
	}
	if c.Host.PairMemory != 3*time.Minute || c.IdleTimeout != time.Minute || c.LogLevel != "error" || c.DrainTimeout != 25*time.Second ||
		!slices.Equal(c.Allow.Users, []string{"c", "d"}) || !slices.Equal(c.Listen, []string{"127.0.0.1:2", "127.0.0.1:3"}) {
		t.Errorf("got %+v", c)
	}
	// What stands below a host is nearer than what is said for all of them, by whatever.
	if c.For("h.example:443").PairMemory != 9*time.Minute || c.For("i.example:443").PairMemory != 3*time.Minute {
		t.Errorf("hosts have %+v", c.Hosts)
	}
	// Who may is decided at both levels.
	if !slices.Equal(c.AllowHosts["h.example:443"].Users, []string{"z"}) || len(c.AllowHosts) != 1 {
		t.Errorf("single hosts are for %+v", c.AllowHosts)
	}
	for _, test := range []struct {
		host, key string
		i         int
		want      Origin
	}{
		{"", "pair_memory", 0, Origin{Source: Flag, Name: "--pair-memory", Key: "pair_memory"}},
		{"", "log_level", 0, Origin{Source: Variable, Name: "CERTPROXY_LOG_LEVEL", Key: "log_level"}},
		{"", "allow_users", 1, Origin{Source: Variable, Name: "CERTPROXY_ALLOW_USERS", Key: "allow_users"}},
		{"", "idle_timeout", 0, Origin{Source: File, Name: "config.yaml", Line: 2, Key: "idle_timeout"}},
		{"h.example:443", "allow_users", 0, Origin{Source: File, Name: "config.yaml", Line: 6, Key: "allow_users"}},
		{"", "drain_timeout", 0, Origin{Key: "drain_timeout"}},
	} {
		if got := origins.Of(test.host, test.key, test.i); got != test.want {
			t.Errorf("%s %q is from %+v, want %+v", test.key, test.host, got, test.want)
		}
	}
}

func TestEveryKeyIsSetByItsFlagAndItsVariable(t *testing.T) {
	values := map[string]string{
		"duration": "7s", "size": "7", "unlisted": "refuse", "log_level": "debug", "log_format": "json", "fallback_statuses": "418",
	}
	seen := map[string]string{}
	for _, k := range Keys() {
		if k.Flag == "" {
			continue
		}
		for _, name := range []string{"--" + k.Flag, k.Variable()} {
			if seen[name] != "" {
				t.Errorf("%s sets %s and %s", name, seen[name], k.Name)
			}
			seen[name] = k.Name
		}
		value := values[k.Name]
		if value == "" {
			value = values[k.Type]
		}
		if value == "" {
			value = "x"
		}
		byFlag, _, wrong := Read(Sources{Flags: []Setting{ByFlag(k, value)}})
		variables, unknown, _ := Variables([]string{k.Variable() + "=" + value})
		byVariable, _, alsoWrong := Read(Sources{Variables: variables})
		if len(wrong)+len(unknown)+len(alsoWrong) > 0 {
			t.Errorf("%s: %v, %v, %v", k.Name, wrong, unknown, alsoWrong)
			continue
		}
		for how, c := range map[string]*Config{"flag": byFlag, "variable": byVariable} {
			if got := DifferentTop(c, ptr(Default())); !slices.Equal(got, []string{k.Name}) {
				t.Errorf("by %s, %s changes %q", how, k.Name, got)
			}
		}
	}
}

func TestEveryFieldIsOfAKeyThatTellsItsChange(t *testing.T) {
	named := map[string]bool{}
	for _, of := range []string{"", "Allow"} {
		whole := reflect.TypeFor[Config]()
		if of != "" {
			whole = reflect.TypeFor[Allow]()
		}
		for i := range whole.NumField() {
			field := whole.Field(i).Name
			if of == "" && slices.Contains([]string{"Allow", "AllowHosts", "Host", "Hosts"}, field) {
				continue
			}
			var c Config
			v := reflect.ValueOf(&c).Elem()
			if of != "" {
				v = v.FieldByName(of)
			}
			switch v = v.FieldByName(field); v.Kind() {
			case reflect.String:
				v.SetString("x")
			case reflect.Int64:
				v.SetInt(1)
			default:
				v.Set(reflect.ValueOf([]string{"x"}))
			}
			keys := DifferentTop(&c, &Config{})
			if len(keys) != 1 || named[keys[0]] {
				t.Errorf("%s is named %q", field, keys)
				continue
			}
			named[keys[0]] = true
		}
	}
}

func TestAMistakeInAVariableOrAFlagNamesIt(t *testing.T) {
	for _, test := range []struct {
		environ []string
		flags   []Setting
		want    []string
	}{
		{[]string{"CERTPROXY_LISTN=x"}, nil, []string{"CERTPROXY_LISTN is a variable that is not known; did you mean CERTPROXY_LISTEN?"}},
		{[]string{"CERTPROXY_CONFG=x"}, nil, []string{"CERTPROXY_CONFG is a variable that is not known; did you mean CERTPROXY_CONFIG?"}},
		{[]string{"CERTPROXY_ALLOW_USER=x"}, nil, []string{"CERTPROXY_ALLOW_USER is a variable that is not known; did you mean CERTPROXY_ALLOW_USERS?"}},
		{[]string{"CERTPROXY_COLOUR=x"}, nil, nil},
		{[]string{"CERTPROXY_=x"}, nil, nil},
		{[]string{"CERTPROXY_RENEGOTIATION=true", "CERTPROXY_HOSTS=x"}, nil, []string{
			"CERTPROXY_HOSTS is no variable: hosts stands in the configuration file only",
			"CERTPROXY_RENEGOTIATION is no variable: renegotiation stands in the configuration file only",
		}},
		{[]string{"CERTPROXY_PAIR_MEMORY=5"}, []Setting{flag(t, "pair-memory", "6")}, []string{
			`CERTPROXY_PAIR_MEMORY "5" is no duration; write 5s`, `--pair-memory "6" is no duration; write 6s`,
		}},
		{[]string{"CERTPROXY_CERTS=/a,,/b"}, []Setting{flag(t, "certs", "")}, []string{
			"CERTPROXY_CERTS is empty; name a directory", "--certs is empty; name a directory",
		}},
		{[]string{"CERTPROXY_HTPASSWD=a\nb"}, []Setting{flag(t, "unlisted", "drop"), flag(t, "log-level", "loud")}, []string{
			"CERTPROXY_HTPASSWD has a control character", `--unlisted "drop" is neither tunnel nor refuse`, `--log-level "loud" is none of debug, info, warn, error`,
		}},
		// Those of Kubernetes are nobody's mistake, and only there.
		{[]string{"CERTPROXY_PORT=tcp://10.0.0.1:3128", "CERTPROXY_PORT_3128_TCP_ADDR=10.0.0.1", "CERTPROXY_SERVICE_PORT_PROXY=3128", "CERTPROXY_ADMIN_SERVICE_HOST=10.0.0.2", "KUBERNETES_SERVICE_HOST=10.0.0.3"}, nil, nil},
		{[]string{"CERTPROXY_LISTN=x", "KUBERNETES_SERVICE_HOST=10.0.0.3"}, nil, []string{"CERTPROXY_LISTN is a variable that is not known; did you mean CERTPROXY_LISTEN?"}},
		{[]string{"CERTPROXY_SERVICE_HOST=10.0.0.1"}, nil, nil},
	} {
		variables, unknown, _ := Variables(test.environ)
		_, _, mistakes := Read(Sources{Variables: variables, Flags: test.flags})
		var got []string
		for _, m := range append(unknown, mistakes...) {
			got = append(got, m.Error())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q, %+v:\n%s\nwant\n%s", test.environ, test.flags, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestAFileInTheFileIsRelativeToIt(t *testing.T) {
	c, _, mistakes := Read(Sources{
		File: "/etc/certproxy/config.yaml", Data: []byte("certs: [certs.d, /srv/certs.d]\nhtpasswd: ../passwords\nlisten_cert: ''\n"),
		Flags: []Setting{flag(t, "state", "state")},
	})
	if len(mistakes) > 0 || !slices.Equal(c.Certs, []string{"/etc/certproxy/certs.d", "/srv/certs.d"}) || c.Htpasswd != "/etc/passwords" || c.ListenCert != "" || c.State != "state" {
		t.Errorf("got %+v, %v", c, mistakes)
	}
}

// What a URL or a misspelt variable holds may be a password.
func TestNoMistakeShowsAnUpstreamProxyOrAnUnknownVariable(t *testing.T) {
	for _, environ := range [][]string{
		{"CERTPROXY_UPSTREAM_PROXY=http://u:S3cret@h\x00"}, {"CERTPROXY_UPSTREAM_PRXY=http://u:S3cret@h"}, {"CERTPROXY_UPSTREAM_PROXY=\nS3cret"},
	} {
		variables, unknown, _ := Variables(environ)
		_, _, mistakes := Read(Sources{Variables: variables})
		all := append(unknown, mistakes...)
		if len(all) != 1 || strings.Contains(all.Error(), "S3cret") {
			t.Errorf("%q: %v", environ, all)
		}
	}
}

func TestDifferencesAreNamedByTheirKeys(t *testing.T) {
	was, is := Default(), Default()
	is.UpstreamProxy, is.Allow.Groups, is.Host.PairMemory = "direct", []string{"a"}, 0
	if got := fmt.Sprint(DifferentTop(&was, &is)); got != "[upstream_proxy pair_memory allow_groups]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(DifferentAllow(Allow{Users: []string{"a"}}, Allow{Networks: []string{"10.0.0.0/8"}})); got != "[allow_users allow_networks]" {
		t.Errorf("got %s", got)
	}
}

// Whatever is in the environment, reading it does not panic, an unknown variable's value
// is not shown, and what a list holds can be written into a variable and read again.
func FuzzVariables(f *testing.F) {
	for _, seed := range [][2]string{
		{"LISTEN", "127.0.0.1:1, 127.0.0.1:2"}, {"CERTS", `/a\,b,/c\\,d\e`}, {"LISTN", "x"}, {"", ""}, {"PAIR_MEMORY", "1"}, {"ALLOW_USERS", ",,"},
		{"FALLBACK_STATUSES", "403,5xx"}, {"UPSTREAM_PROXY", "http://u:p@h"}, {"\xff\x00=", "="}, {"ALLOW_NETWORKS", "\u00a010.0.0.0/8\u2003"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		const marker = "S3cretMarker"
		_, unknown, others := Variables([]string{"CERTPROXY_" + name + "=" + marker + value})
		for _, m := range unknown {
			if !strings.Contains(name, marker) && strings.Contains(m.Error(), marker) {
				t.Errorf("%v", m)
			}
			if strings.ContainsFunc(m.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("more than one line: %q", m.Error())
			}
		}
		for _, other := range others {
			if !strings.Contains(name, marker) && strings.Contains(other, marker) || strings.ContainsFunc(other, func(r rune) bool { return r < ' ' }) {
				t.Errorf("an unknown name is shown as %q", other)
			}
		}
		variables, _, _ := Variables([]string{"CERTPROXY_" + name + "=" + value})
		if c, _, _ := Read(Sources{Variables: variables}); c == nil {
			t.Error("no configuration")
		}

		entries := split(value)
		escaped := make([]string, len(entries))
		for i, entry := range entries {
			if strings.TrimSpace(entry) != entry {
				t.Errorf("%q has the entry %q", value, entry)
			}
			escaped[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(entry)
		}
		if again := split(strings.Join(escaped, ",")); !slices.Equal(again, entries) {
			t.Errorf("%q is %q, and then %q", value, entries, again)
		}
	})
}
