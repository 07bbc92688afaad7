package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// outgoing is the body as Request.Write reads it. What was written so far goes out
// before it waits for more: the client may wait for an answer to it.
type outgoing struct {
	s        *sending
	trailers http.Header // filled at the body's end
}

func (o outgoing) Read(p []byte) (int, error) {
	n, err := o.read(p)
	switch {
	case errors.Is(err, io.EOF):
		o.s.body.copyTrailers(o.trailers)
	case err != nil:
		o.s.stopped = err
	}
	return n, err
}

func (o outgoing) read(p []byte) (int, error) {
	s := o.s
	if s.patience > 0 {
		_ = s.conn.raw.SetWriteDeadline(time.Now().Add(s.patience))
	}
	if !s.wide && (s.sent >= bulk || s.req.ContentLength >= bulk && s.sent > 0) {
		_ = s.widen(true) // only its end sends anything
	}
	if !s.wide || s.client == nil || !s.client.atHand() {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if s.expect && s.sent == 0 {
		wanted := <-s.wanted
		s.wanted <- wanted // for the next Read, should this one bring nothing
		if !wanted {
			return 0, errNotWanted
		}
	}
	if s.sent == s.req.ContentLength {
		return 0, io.EOF // the client may end its stream later
	}
	s.stall.sends()
	n, err := s.body.Read(p)
	s.sent += int64(n)
	if n > 0 {
		s.stall.move()
	}
	if n > 0 {
		s.delivered.Store(true)
	}
	if errors.Is(err, io.EOF) || s.sent == s.req.ContentLength {
		s.ending.Store(true)
	}
	s.moved.Store(int64(time.Since(s.began)))
	return n, err
}

func (o outgoing) Close() error { return nil }

// flush sends all that was written.
func (s *sending) flush() error {
	if err := s.conn.out.buf.Flush(); err != nil {
		return err
	}
	return s.conn.wire.flush()
}

// widen says whether much of the body is to come.
func (s *sending) widen(wide bool) error {
	if s.wide == wide {
		return nil
	}
	s.wide = wide
	if s.client != nil {
		s.client.readWide(wide)
	}
	return s.conn.wire.writeWide(wide)
}

// absoluteForm addresses a request to a proxy of the site, with the credentials that
// are ours.
func absoluteForm(out *http.Request, to *upstreamproxy.Forwarding) {
	u := *out.URL
	if u.Opaque == "" {
		u.Opaque = u.EscapedPath()
	}
	if u.Opaque == "*" {
		u.Opaque = "" // RFC 9112 section 3.2.4
	}
	u.Opaque = "//" + out.Host + u.Opaque
	out.URL = &u
	if to.Authorization != "" {
		out.Header = maps.Clone(out.Header)
		out.Header["Proxy-Authorization"] = []string{to.Authorization}
	}
}
