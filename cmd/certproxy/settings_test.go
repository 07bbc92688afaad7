package main

import (
	"bytes"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/proxy"
)

func TestEverySettingReachesTheProxyAndIsNamedWhenItChanges(t *testing.T) {
	fields := reflect.TypeFor[config.HostSettings]()
	named := map[string]bool{}
	for i := range fields.NumField() {
		was, is := config.Default().Host, config.Default().Host
		field := reflect.ValueOf(&is).Elem().Field(i)
		if field.Kind() == reflect.Bool {
			field.SetBool(!field.Bool())
		} else {
			field.SetZero()
		}
		if hostSettings(was) == hostSettings(is) {
			t.Errorf("%s makes no difference to the proxy", fields.Field(i).Name)
		}
		keys := differentKeys(was, is)
		if len(keys) != 1 || named[keys[0]] {
			t.Fatalf("%s is named %q", fields.Field(i).Name, keys)
		}
		named[keys[0]] = true
		// Its value is a mistake, its name is not.
		if _, err := config.Parse("config.yaml", []byte(keys[0]+": [x]")); err == nil || strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s is named %s: %v", fields.Field(i).Name, keys[0], err)
		}
	}
}

func TestWithoutAFileTheProxyHasItsOwnDefaults(t *testing.T) {
	c := config.Default()
	got, want := newSettings(&plan{options: options{Config: &c}}).host("registry.example:443"), proxy.DefaultHostSettings()
	for status := range 1000 {
		if got.Fallback.Has(status) != want.Fallback.Has(status) {
			t.Errorf("status %d: in the file's default %v, in the proxy's %v", status, got.Fallback.Has(status), want.Fallback.Has(status))
		}
	}
	if got.Fallback = want.Fallback; got != want {
		t.Errorf("the file's default is %+v, the proxy's %+v", got, want)
	}
}

func TestAReloadNamesWhatChanged(t *testing.T) {
	const host = "hosts: {a.example: {pair_memory: 0}}\n"
	for _, test := range []struct {
		name, old, now string
		all, hosts     []string
	}{
		{name: "nothing", old: host, now: host},
		{name: "a default that is written down", old: "", now: "attempt_timeout: 5m\n"},
		{name: "a host without settings of its own", old: "", now: "hosts: {a.example: {}}"},
		{name: "all hosts", old: "", now: "attempt_timeout: 1s\nconnect_timeout: 1s\n", all: []string{"connect_timeout", "attempt_timeout"}},
		{name: "all hosts, and one takes it over", old: host, now: "attempt_timeout: 1s\n" + host, all: []string{"attempt_timeout"}},
		{name: "all hosts, and one has it already", old: host, now: "pair_memory: 0\n" + host, all: []string{"pair_memory"}},
		{name: "a host more", old: "", now: host, hosts: []string{"a.example:443 (pair_memory)"}},
		{name: "a host less", old: host, now: "", hosts: []string{"a.example:443 (pair_memory)"}},
		{name: "two keys of a host", old: host, now: "hosts: {a.example: {attempt_timeout: 0, renegotiation: true}}",
			hosts: []string{"a.example:443 (attempt_timeout, pair_memory, renegotiation)"}},
		{name: "a host that keeps what was for all", old: "attempt_timeout: 1s", now: "hosts: {a.example: {attempt_timeout: 2s}}",
			all: []string{"attempt_timeout"}, hosts: []string{"a.example:443 (attempt_timeout)"}},
		{name: "several hosts", old: host, now: "hosts: {c.example: {pair_memory: 0}, 'b.example:5000': {pair_memory: 0}}",
			hosts: []string{"a.example:443 (pair_memory)", "b.example:5000 (pair_memory)", "c.example:443 (pair_memory)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, hosts := differences(parse(t, test.old), parse(t, test.now))
			if !slices.Equal(all, test.all) || !slices.Equal(hosts, test.hosts) {
				t.Errorf("for all %q, hosts %q; want %q and %q", all, hosts, test.all, test.hosts)
			}
		})
	}
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAMissingDefaultFileIsTheDefault(t *testing.T) {
	from := sources{file: configFile{path: filepath.Join(t.TempDir(), "config.yaml"), optional: true}}
	c, mistakes := from.read()
	if len(mistakes) > 0 || c.found || c.Host != config.Default().Host {
		t.Errorf("read = %+v, %v", c, mistakes)
	}
	var out bytes.Buffer
	if err := from.check(&out, nil); err != nil || out.String() != from.file.path+": ok (not there, so all is by default)\n" {
		t.Errorf("check = %v, and says %q", err, out.String())
	}
}

func TestCheckConfigDoesNotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"serve", "--check-config", "--config", "../../docs/config.example.yaml",
		"--state", t.TempDir(), "--listen", l.Addr().String()}, nil, &out, &errs)
	if code != exitOK || out.String() != "../../docs/config.example.yaml: ok\n" {
		t.Errorf("exit code %d, %q, %q", code, out.String(), errs.String())
	}
}
