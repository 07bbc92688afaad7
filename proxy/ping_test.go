package proxy

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestAProxyThatServesAnswersAPing(t *testing.T) {
	r := newRig(t)
	eventually(t, "it serves", func() bool { return len(r.proxy.served()) == 1 })
	if err := r.proxy.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if entries := r.logs.FilterMessage("connect refused").Len() + r.logs.FilterMessage("request refused").Len(); entries != 0 {
		t.Errorf("a ping made %d log lines", entries)
	}
}

// A proxy that accepts and says no more is as bad as one that is gone.
func TestAProxyThatHangsDoesNotAnswerAPing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Index: certs.NewStore(nil, nil), Leaves: &testLeaves{ca: throwaway.NewCA("local CA")}})
	if err != nil {
		t.Fatal(err)
	}
	p.serves(Door{Listener: l}) // the kernel accepts, and nobody reads
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Ping(ctx); err == nil || !strings.Contains(err.Error(), l.Addr().String()+" does not answer") {
		t.Errorf("the ping came to %v", err)
	}
	_ = l.Close()
	if err := p.Ping(t.Context()); err == nil {
		t.Error("a door that is closed answers a ping")
	}
}
