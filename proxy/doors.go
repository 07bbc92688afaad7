package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/internal/http1"
)

// A Door is a listener, and what is behind it: the proxy, or a single host.
//
// Whatever comes in by any of them goes the same way: the gate, the attempts, the log.
type Door struct {
	Listener net.Listener
	// Forward is the host that the listener is for its clients, as canonical name:port.
	// They speak plain HTTP and know of no proxy. Empty is the proxy.
	Forward string
	// TLS tells that its clients speak TLS, which the listener terminates.
	TLS bool
}

// openDoors are the doors that are served.
type openDoors struct {
	mu  sync.Mutex
	all []openDoor
}

type openDoor struct {
	Door
	server *http1.Server
}

// serves notes a door, which is never dialed as a host from now on, and returns what
// serves it.
func (p *Proxy) serves(d Door) *http1.Server {
	p.dialer.refuse(d.Listener.Addr())
	server := p.newDoorServer(d)
	p.open.mu.Lock()
	defer p.open.mu.Unlock()
	p.open.all = append(p.open.all, openDoor{d, server})
	return server
}

// served returns the doors in the order in which they were opened.
func (p *Proxy) served() []openDoor {
	p.open.mu.Lock()
	defer p.open.mu.Unlock()
	return slices.Clone(p.open.all)
}

// newDoorServer returns the server of a door.
func (p *Proxy) newDoorServer(d Door) *http1.Server {
	s := p.newServer(p.serveOuter, maxProxyHeader)
	if d.Forward != "" {
		s = p.newServer(func(w http.ResponseWriter, r *http.Request) { p.serveForward(w, r, d.Forward) }, maxRequestHeader)
	}
	s.Begin = p.begin
	return s
}

// begin finds out who has connected.
func (p *Proxy) begin(ctx context.Context, conn net.Conn) (context.Context, error) {
	if secured, ok := conn.(*tls.Conn); ok {
		_ = conn.SetDeadline(time.Now().Add(p.config.HandshakeTimeout))
		began := time.Now()
		err := secured.HandshakeContext(ctx)
		p.config.shookHands(ToClient, "", began, err)
		if err != nil {
			p.log.Warn("client handshake failed", zap.String("client", conn.RemoteAddr().String()),
				zap.String("reason", printable(err.Error(), 200)), zap.String("hint", "this listener speaks TLS: use https:// in HTTPS_PROXY, and a certificate if it wants one"))
			return ctx, err
		}
		_ = conn.SetDeadline(time.Time{})
	}
	return context.WithValue(ctx, clientConnKey{}, &clientConn{p.config.Gate.Arrived(conn), conn}), nil
}

// newServer returns a server of HTTP/1.
func (p *Proxy) newServer(handler http.HandlerFunc, maxHeader int) *http1.Server {
	return &http1.Server{
		Handler:       handler,
		HeaderTimeout: p.config.HeaderTimeout,
		IdleTimeout:   p.config.IdleTimeout,
		MaxHeader:     maxHeader,
		Refuse: func(w io.Writer, why *http1.Malformed) {
			p.log.Warn("request refused", zap.Int("status", why.Status), zap.String("reason", why.Reason), zap.String("hint", why.Hint))
			refused := malformedRefusal(why)
			p.refusedEarly(nil, "", "", time.Now(), refused)
			_ = refused.writeTo(w, &http.Request{})
		},
		Panicked: func(v any) { p.caught(v, "") },
		Retried: func(err error) {
			p.log.Error("a connection cannot be accepted", zap.String("reason", err.Error()), zap.String("hint", acceptHint(err)))
		},
	}
}

const (
	// maxProxyHeader bounds the header of what is said to the proxy itself.
	maxProxyHeader = 64 << 10
	// maxRequestHeader bounds that of what is said to a host, as net/http does.
	maxRequestHeader = 1 << 20
)

func acceptHint(err error) string {
	if errors.Is(err, syscall.EMFILE) {
		return "raise the limit of open files (LimitNOFILE in the unit, or ulimit -n)"
	}
	return "see what the machine has run out of"
}
