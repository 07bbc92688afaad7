package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest/observer"
)

// refused checks that a request is refused, and returns what the answer says.
func (r *configureRig) refused() string {
	r.t.Helper()
	resp, err := r.client.Get("https://" + r.server + "/")
	if err != nil {
		return err.Error() // CONNECT was refused
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		r.t.Errorf("status %d %q, %v; want 403", resp.StatusCode, text, err)
	}
	return string(text)
}

// messages are those of some lines.
func messages(lines []observer.LoggedEntry) []string {
	var all []string
	for _, l := range lines {
		all = append(all, l.Message)
	}
	return all
}

func TestASIGHUPChangesWhoMay(t *testing.T) {
	r := newConfigureRig(t, "", false)
	r.answers(firstPair)
	own, other := os.Getuid(), os.Getuid()+1

	r.write(fmt.Sprintf("allow_users: [%d]\n", other))
	if got := r.said(r.hangup(), "configuration reloaded")["changed_for_all"]; fmt.Sprint(got) != "[allow_users]" {
		t.Errorf("the line says %v changed", got)
	}
	if text := r.refused(); !strings.Contains(text, "allow_users, for all hosts, and reload") || strings.Contains(text, "--allow-user") {
		t.Errorf("what the file refuses is changed in the file, but the answer says %q", text)
	}

	r.write("allow_users: [no-such-user]\n")
	if lines := r.hangup(); fmt.Sprint(lines[0].ContextMap()["mistakes"]) != "["+r.file+`:1: allow_users: there is no user "no-such-user" on this machine; check the spelling, or write the uid as a number, for example 1000]` {
		t.Errorf("logged %+v", lines)
	}
	r.refused()

	r.write(fmt.Sprintf("allow_users: [%d]\n", own))
	r.said(r.hangup(), "configuration reloaded")
	r.answers(firstPair)

	// The stricter of both levels wins.
	r.write(fmt.Sprintf("allow_users: [%d]\nhosts: {%q: {allow_users: [%d]}}\n", own, r.server, other))
	if got := r.said(r.hangup(), "configuration reloaded")["changed"]; fmt.Sprint(got) != "["+r.server+" (allow_users)]" {
		t.Errorf("the line says %v changed", got)
	}
	if text := r.refused(); !strings.Contains(text, "allow_users, for this host, and reload") || strings.Contains(text, "--allow-user") {
		t.Errorf("no flag changes what is said for a host, but the answer says %q", text)
	}
	r.write(fmt.Sprintf("hosts: {%q: {allow_users: [%d]}}\n", r.server, own))
	r.said(r.hangup(), "configuration reloaded")
	r.answers(firstPair)
}

func TestASIGHUPChangesWhatBecomesOfUnlistedHosts(t *testing.T) {
	r := newConfigureRig(t, "", false)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(plain) }()
	t.Cleanup(func() { server.Close(); <-done })
	get := func(want int) {
		t.Helper()
		resp, err := r.client.Get("http://" + plain.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("status %d, want %d", resp.StatusCode, want)
		}
	}
	get(http.StatusNotFound)
	r.write("unlisted: refuse\n")
	r.said(r.hangup(), "configuration reloaded")
	get(http.StatusForbidden)
}

func TestASIGHUPChangesTheWayToHosts(t *testing.T) {
	r := newConfigureRig(t, "", false)
	r.answers(firstPair)
	r.write("upstream_proxy: socks5://u:S3cret@nowhere\n")
	lines := r.hangup()
	fields := r.said(lines, "configuration not reloaded")
	if text := fmt.Sprint(fields); strings.Contains(text, "S3cret") || !strings.Contains(text, r.file+":1: upstream_proxy names a socks5 proxy") {
		t.Errorf("logged %s", text)
	}
	r.write("upstream_proxy: http://u:S3cret@127.0.0.1:1\n")
	if got := r.said(r.hangup(), "configuration reloaded")["changed_for_all"]; fmt.Sprint(got) != "[upstream_proxy]" {
		t.Errorf("the line says %v changed", got)
	}
	r.answers(firstPair) // loopback addresses are always reached directly
}

func TestASIGHUPChangesTheLogsLevelAtOnce(t *testing.T) {
	r := newConfigureRig(t, "log_level: error\n", false)
	if lines := r.logs.FilterMessage("configuration").Len(); lines != 0 {
		t.Errorf("%d lines at info", lines)
	}
	r.write("log_level: info\n")
	if got := r.said(r.hangup(), "configuration reloaded")["changed_for_all"]; fmt.Sprint(got) != "[log_level]" {
		t.Errorf("the line says %v changed", got)
	}
}

func TestWhatNeedsARestartIsNamedAtEverySIGHUPUntilThen(t *testing.T) {
	r := newConfigureRig(t, "", false)
	r.write("idle_timeout: 1m\nadmin: ''\nlisten: ['127.0.0.1:1']\n") // the flag --listen overrides that
	for range 2 {
		if got := r.said(r.hangup(), "configuration needs a restart")["keys"]; fmt.Sprint(got) != "[idle_timeout]" {
			t.Errorf("the line says %v", got)
		}
	}
	r.write("idle_timeout: 1m\npair_memory: 0\nlog_format: json\n")
	lines := r.hangup()
	if got := messages(lines); !slices.Equal(got, []string{"configuration reloaded", "configuration needs a restart"}) ||
		fmt.Sprint(lines[1].ContextMap()["keys"]) != "[log_format idle_timeout]" {
		t.Errorf("logged %+v", lines)
	}
	r.write("pair_memory: 0\n")
	if lines := r.hangup(); len(lines) != 0 {
		t.Errorf("all is as it was at the start, but logged is %+v", lines)
	}
}

func TestASIGHUPChangesThePasswordFile(t *testing.T) {
	r := newConfigureRig(t, "", false)
	r.write("htpasswd: passwords\n")
	if text := fmt.Sprint(r.said(r.hangup(), "configuration not reloaded")["mistakes"]); !strings.Contains(text, r.file+":1: htpasswd: open "+filepath.Join(filepath.Dir(r.file), "passwords")+": no such file") {
		t.Errorf("logged %s", text)
	}
	const line = "u:$2y$05$abcdefghijklmnopqrstuuRTEVDCO9YEl.yfrDDFbFbMy0sDCqAea\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), "passwords"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.said(r.hangup(), "configuration reloaded")["changed_for_all"]; fmt.Sprint(got) != "[htpasswd]" {
		t.Errorf("the line says %v changed", got)
	}
}
