package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// stoppable runs the rig's configuration once more, on a listener whose end the
// test decides.
func (r *rig) stoppable(drain time.Duration) (stop context.CancelFunc, ended chan error) {
	r.t.Helper()
	config := r.proxy.config
	config.DrainTimeout = drain
	p, err := New(config)
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- p.Run(ctx, Door{Listener: l}) }()
	r.t.Cleanup(cancel)
	return cancel, ended
}

func TestWhatIsInFlightFinishesAndIdleConnectionsEndAtOnce(t *testing.T) {
	r := newRig(t)
	arrived, finish := make(chan struct{}), make(chan struct{})
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			close(arrived)
			<-finish
		}
		_, _ = io.WriteString(w, "whole")
	})
	r.list(host, "a")
	stop, ended := r.stoppable(20 * time.Second)
	r.get(host, "/") // leaves an idle intercepted connection
	answer := make(chan string, 1)
	client := r.client(1)
	go func() {
		resp, err := client.Get("https://" + host + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		answer <- string(body) + errorText(err)
	}()
	<-arrived
	stop()
	close(finish)
	if got := <-answer; got != "whole" {
		t.Errorf("the answer in flight: %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return " " + err.Error()
}

func TestWhatDoesNotFinishIsCutAndCounted(t *testing.T) {
	r := newRig(t)
	stop, ended := r.stoppable(50 * time.Millisecond)
	c, br, resp := r.connect(echo(t))
	_ = resp.Body.Close()
	_, _ = io.WriteString(c, "x")
	if _, err := br.ReadByte(); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := br.ReadByte(); err == nil {
		t.Error("the tunnel goes on")
	}
	if cut := r.logged("connections cut after the drain timeout")["connections"]; cut != int64(2) { // both of its sockets
		t.Errorf("the log counts %v", cut)
	}
}

func TestAListenerThatFailsEndsRun(t *testing.T) {
	p, err := New(Config{Index: certs.NewStore(nil, nil), Leaves: &testLeaves{ca: throwaway.NewCA("ca")}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := p.Run(context.Background(), Door{Listener: l}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

// A client that was told yes to its CONNECT just before the proxy is stopped comes for one
// request, and gets it: it cannot know that it may ask again.
func TestTheFirstRequestAfterACONNECTIsServedWhileStopping(t *testing.T) {
	r := newRig(t)
	host := r.server(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "whole") })
	r.list(host, "a")
	for _, proto := range []int{1, 2} {
		stop, ended := r.stoppable(20 * time.Second)
		secured := make(chan struct{})
		client := r.client(proto)
		transport := client.Transport.(*http.Transport)
		transport.TLSHandshakeTimeout = 5 * time.Second
		dial := transport.DialContext
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return &pausedConn{Conn: c, pause: func() {
				close(secured)
				<-time.After(firstRequestGrace / 4) // the proxy has begun to stop meanwhile
			}}, err
		}
		go func() { <-secured; stop() }()
		resp, err := client.Get("https://" + host + "/")
		if err != nil {
			t.Errorf("HTTP/%d: %v", proto, err)
		} else {
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "whole" {
				t.Errorf("HTTP/%d: %q, %v", proto, body, err)
			}
			_ = resp.Body.Close()
		}
		began := time.Now()
		client.CloseIdleConnections()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("HTTP/%d: the end took %v more", proto, took)
		}
	}
}

// A pausedConn pauses once, before the client's second flight: the handshake's end, or
// what comes with it.
type pausedConn struct {
	net.Conn
	writes int
	pause  func()
}

func (c *pausedConn) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 3 { // CONNECT, ClientHello, Finished
		c.pause()
	}
	return c.Conn.Write(p)
}
