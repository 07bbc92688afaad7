package upstreamproxy

import (
	"context"
	"net"
	"testing"
)

func TestViaNamesTheProxyOfADestinationWithoutItsPassword(t *testing.T) {
	env := map[string]string{"HTTPS_PROXY": "http://user:hunter2@squid.example:3128", "NO_PROXY": "direct.example"}
	d, err := New(Config{
		Getenv: func(name string) string { return env[name] },
		Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed },
	})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"registry.example:5000": "http://user:xxxxx@squid.example:3128 (HTTPS_PROXY)",
		"direct.example:443":    "",
		"localhost:443":         "",
	} {
		if got := d.Via(addr); got != want {
			t.Errorf("Via(%q) = %q, want %q", addr, got, want)
		}
	}
}
