package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// pingPath asks about the proxy itself (RFC 8615 has the prefix).
const pingPath = "/.well-known/certproxy"

// servePing says that the proxy serves, and by which name. Nothing is logged.
func servePing(w http.ResponseWriter) {
	w.Header().Set("Server", "certproxy")
	w.WriteHeader(http.StatusNoContent)
}

// Ping asks the proxy at each of its doors, as a client would, whether it serves, and
// returns why it does not. Doors that speak TLS or are a host are only connected to: what
// they say is not the proxy's to decide. It is for watchdogs, and safe while Run runs.
func (p *Proxy) Ping(ctx context.Context) error {
	var errs []error
	for _, d := range p.served() {
		if err := ping(ctx, d.Door); err != nil {
			errs = append(errs, fmt.Errorf("%s does not answer: %w", d.Listener.Addr(), err))
		}
	}
	return errors.Join(errs...)
}

func ping(ctx context.Context, d Door) error {
	addr := d.Listener.Addr()
	conn, err := (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if d.TLS || d.Forward != "" {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, "GET "+pingPath+" HTTP/1.1\r\nHost: certproxy\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("it answers %s", printable(resp.Status, 100))
	}
	return nil
}
