package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/config"
)

func TestCheckLooksWhereClientsReachTheListeners(t *testing.T) {
	o := options{Config: &config.Config{Listen: []string{
		"127.0.0.1:3128", ":3129", "0.0.0.0:3130", "[::]:3131", "[::1]:3132", "127.0.0.1:0",
		"unix:/run/certproxy/proxy.sock,mode=0660", "systemd:proxy", "tls::3133", "tls:unix:/run/x.sock",
	}}}
	want := []string{
		"127.0.0.1:3128", "127.0.0.1:3129", "127.0.0.1:3130", "[::1]:3131", "[::1]:3132",
		"unix:/run/certproxy/proxy.sock", "tls:127.0.0.1:3133", "tls:unix:/run/x.sock",
	}
	if got, err := reachable(o); err != nil || !slices.Equal(got, want) {
		t.Errorf("reachable = %q, %v; want %q", got, err, want)
	}
	o.Listen = []string{"3128"}
	if _, err := reachable(o); err == nil || !strings.Contains(err.Error(), "3128") {
		t.Errorf("3128 is no address, and the error is %v", err)
	}
}
