package proxy

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// A Gate finds out who clients are. Every door has the same one.
type Gate interface {
	// Arrived is told of each accepted connection before anything is read of it. A TLS
	// connection has finished its handshake.
	Arrived(conn net.Conn) Visitor
}

// A Visitor is who is at the other end of one client connection. It is safe for
// concurrent use.
type Visitor interface {
	// May returns nil if the visitor may have what is asked for. It is asked for each
	// CONNECT and each request, so that it holds at once what a reload has changed.
	May(ctx context.Context, ask Ask) *Denial
	// UID returns the visitor's user on this machine, if it is known.
	UID() (uint32, bool)
	// Name returns what the visitor has proven to be called, by a certificate or a
	// password, or nothing.
	Name() string
}

// A Use is what a visitor wants of a host.
type Use uint8

const (
	UseIdentity Use = iota // requests under a pair of the host
	UseTunnel              // bytes or requests carried, with nothing of ours lent
)

// An Ask is what a visitor wants.
type Ask struct {
	Use           Use
	Host          string // canonical name:port
	Authorization string // Proxy-Authorization as it was sent, or empty
}

// A Denial says why a visitor may not, and what would change that.
type Denial struct {
	Text, Hint string
	Challenge  bool          // a password would help: it is answered 407
	Retry      time.Duration // over 0: it was not looked at now, and may be asked again later
}

// everybody is the gate where none is configured.
type everybody struct{}

func (everybody) Arrived(net.Conn) Visitor         { return everybody{} }
func (everybody) May(context.Context, Ask) *Denial { return nil }
func (everybody) UID() (uint32, bool)              { return 0, false }
func (everybody) Name() string                     { return "" }

// A visit is one client's connection and what it asks for.
type visit struct {
	client        string // address
	visitor       Visitor
	conn          *clientConn // nil in tests without a door
	authorization string      // Proxy-Authorization
	authority     string      // canonical name:port of the host
}

// newVisit returns the visit of a request that came in by a door.
func newVisit(r *http.Request) visit {
	v := visit{client: r.RemoteAddr, visitor: everybody{}, conn: clientConnOf(r.Context()), authorization: r.Header.Get("Proxy-Authorization")}
	if v.conn != nil {
		v.visitor = v.conn.visitor
	}
	if v.client == "@" || v.client == "" {
		v.client = "unix socket"
	}
	return v
}

// A clientConn is one client connection. It is compared by its address.
type clientConn struct {
	visitor Visitor
	conn    net.Conn
}

type clientConnKey struct{}

// clientConnOf returns the client connection that a request came over, or nil.
func clientConnOf(ctx context.Context) *clientConn {
	if inner, ok := ctx.Value(interceptKey{}).(*interceptedConn); ok {
		return inner.connect.conn
	}
	a, _ := ctx.Value(clientConnKey{}).(*clientConn)
	return a
}

// who is what logs say about the client.
func (v *visit) who() []zap.Field {
	fields := append(make([]zap.Field, 0, 16), zap.String("client", v.client))
	if uid, ok := v.visitor.UID(); ok {
		fields = append(fields, zap.Uint32("uid", uid))
	}
	if name := v.visitor.Name(); name != "" {
		fields = append(fields, zap.String("user", printable(name, 100)))
	}
	return append(fields, zap.String("host", v.authority))
}

// isOther reports whether the visitor is another user than our own and root, or may be.
func (v *visit) isOther() bool {
	uid, known := v.visitor.UID()
	return !known || uid != 0 && int64(uid) != int64(os.Geteuid())
}

// may returns nil if the visitor may use the host in this way.
func (v *visit) may(ctx context.Context, use Use) *refusal {
	denied := v.visitor.May(ctx, Ask{Use: use, Host: v.authority, Authorization: v.authorization})
	switch {
	case denied == nil:
		return nil
	case denied.Retry > 0:
		return &refusal{status: http.StatusTooManyRequests, kind: "http_request_denied", text: denied.Text, hint: denied.Hint,
			fields: http.Header{"Retry-After": {strconv.Itoa(int(denied.Retry/time.Second) + 1)}}}
	case denied.Challenge:
		return &refusal{status: http.StatusProxyAuthRequired, kind: "http_request_denied", text: denied.Text, hint: denied.Hint,
			fields: http.Header{"Proxy-Authenticate": {`Basic realm="certproxy", charset="UTF-8"`}}}
	}
	return &refusal{status: http.StatusForbidden, kind: "http_request_denied", text: denied.Text, hint: denied.Hint}
}
