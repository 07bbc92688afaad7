package upstreamproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errOwner = errors.New("connect_timeout is over")

// Wherever a proxy falls silent, the end of the context is the end of the wait, and of
// the connection.
func TestTheEndOfTheContextEndsEveryWait(t *testing.T) {
	for _, c := range []struct {
		name, scheme string
		says         string // before it falls silent
		kind         Kind
	}{
		{"before the answer", "http", "", ErrNoAnswer},
		{"inside the header", "http", "HTTP/1.1 200 OK\r\nVia: 1.1", ErrNoAnswer},
		{"after 1xx", "http", "HTTP/1.1 100 Continue\r\n\r\n", ErrNoAnswer},
		{"in the TLS handshake", "https", "", ErrHandshake},
	} {
		// silent reads, says, and then only waits for the connection's end.
		silent := func(conn net.Conn, met, closed chan struct{}) {
			defer close(closed)
			_, _ = conn.Read(make([]byte, 4096)) // the CONNECT or the ClientHello
			_, _ = io.WriteString(conn, c.says)
			close(met)
			_, _ = io.Copy(io.Discard, conn)
		}
		t.Run("canceled "+c.name, func(t *testing.T) {
			met, closed := make(chan struct{}), make(chan struct{})
			addr := serve(t, func(conn net.Conn) { silent(conn, met, closed) })
			ctx, cancel := context.WithCancel(soon(t))
			go func() {
				<-met
				cancel()
			}()
			_, err := through(t, c.scheme+"://user:s3cret@"+addr).DialContext(ctx, "tcp", "registry.example:443")
			if e := fails(t, err, c.kind, addr); !errors.Is(err, context.Canceled) || !strings.Contains(e.Text, "canceled") {
				t.Errorf("%v; want context.Canceled", err)
			}
			<-closed
		})
		t.Run("timed out "+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan struct{})
				const within = time.Minute
				ctx, cancel := context.WithTimeoutCause(t.Context(), within, errOwner)
				defer cancel()
				began := time.Now()
				_, err := newDialer(t, Config{URL: c.scheme + "://user:s3cret@squid:3128", Dial: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go silent(theirs, make(chan struct{}), closed)
					return ours, nil
				}}).DialContext(ctx, "tcp", "registry.example:443")
				if took := time.Since(began); took != within {
					t.Errorf("it took %v; want %v", took, within)
				}
				e := fails(t, err, c.kind, "squid:3128")
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errOwner) || !strings.Contains(e.Text, "timed out") {
					t.Errorf("%v; want DeadlineExceeded, and the owner's cause", err)
				}
				<-closed
			})
		})
	}
}
