// Package proxy answers one question for each connection: carry it untouched, or
// terminate its TLS and find the client certificate that the host accepts?
//
// goproxy parses the proxy protocol and hands over each CONNECT; all that follows
// is here: admit, look up, tunnel or terminate, try each pair, answer. The package
// reads no files: an [Index] gives it hosts and pairs, and [Leaves] the server
// certificates it shows to clients.
package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/http1"
)

// An Index says which client certificates belong to a host. Lookup runs on every
// request: it must be safe for concurrent use and must not read the disk.
type Index interface {
	Lookup(authority string) (*certs.Host, bool)
}

// Leaves are the server certificates shown to clients, minted by a local CA.
type Leaves interface {
	// Leaf returns the certificate for a host name or IP address, without port.
	Leaf(name string) (*tls.Certificate, error)
	// Owns reports whether a certificate is the local CA's own.
	Owns(*x509.Certificate) bool
}

// Config is what a proxy needs. Zero values of durations mean the defaults.
type Config struct {
	Index          Index       // required
	Leaves         Leaves      // required
	RefuseUnlisted func() bool // whether hosts without a directory are answered 403; nil means that they are carried without an identity
	Gate           Gate        // who clients are, and what they may; nil lets everybody do everything

	UpstreamProxy string              // what hosts are reached through: as the configuration has upstream_proxy
	Getenv        func(string) string // the environment, which may name such a proxy; nil means that it is empty

	SystemRoots *x509.CertPool                                                    // CA roots that every host starts with; nil means the system's
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials; tests redirect
	Logger      *zap.Logger                                                       // nil logs nothing

	// Disown is told of each connection to an address of this machine that carries bytes for
	// another user than our own and root, before it is made: it is not to count as ours at
	// its other end. network is "tcp4" or "tcp6". nil lets it.
	Disown func(network string, c syscall.RawConn) error

	// Whoever watches: see events.go. nil tells nobody.
	Attempted      func(Attempt)      // told of every attempt
	RequestEnded   func(RequestEnd)   // of every request, those refused or not understood among them
	TunnelEnded    func(TunnelEnd)    // of every tunnel that was established
	HandshakeEnded func(HandshakeEnd) // of every TLS handshake, on either leg

	Host      func(authority string) HostSettings // settings of a host, listed or not; nil means [DefaultHostSettings] for all
	ReplayDir string                              // for the files of bodies too large for memory; empty means the system's directory for temporary files

	HandshakeTimeout time.Duration // of TLS, on either leg; default 10 s
	HeaderTimeout    time.Duration // for a client to send a request's header; default 10 s
	IdleTimeout      time.Duration // of a kept connection without a request, on either leg; default 2 min
	DrainTimeout     time.Duration // for what is in flight when Run's context ends; default 25 s
}

// A Proxy serves proxy clients. Make it with [New], then [Proxy.Run] it.
type Proxy struct {
	config     Config
	log        *zap.Logger
	pseudonym  string       // in Via
	door       http.Handler // goproxy
	dialer     *dialer
	upstreams  *upstreams
	clientTLS  *tls.Config // of intercepted connections
	open       openDoors
	inner1     *http1.Server  // serves intercepted connections that speak HTTP/1.1
	inner      *handover      // those that speak HTTP/2, on their way to inner2
	inner2     *http.Server   // serves them
	beginnings beginnings     // CONNECTs of which nothing has come yet
	conns      *liveConns     // hijacked connections, tunnels among them
	tunnels    sync.WaitGroup // for the goroutines of tunnels, whose connections are in conns
	pipes      *pipePool      // for what tunnels splice
	kept       *budget        // of the memory for bodies that are kept for another attempt
	rest       *rest          // gives memory back when it is quiet
	wait       sync.WaitGroup // for the goroutines of Run
	live       live           // counts for Stats
}

// New checks the configuration and returns a proxy that serves nothing yet.
func New(config Config) (*Proxy, error) {
	if config.Index == nil || config.Leaves == nil {
		return nil, errors.New("proxy: Index and Leaves are required")
	}
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	if config.SystemRoots == nil {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("the system's CA roots cannot be read: %w; install ca-certificates or set SSL_CERT_FILE", err)
		}
		config.SystemRoots = roots
	}
	if config.Gate == nil {
		config.Gate = everybody{}
	}
	if config.RefuseUnlisted == nil {
		config.RefuseUnlisted = func() bool { return false }
	}
	if config.Host == nil {
		config.Host = func(string) HostSettings { return DefaultHostSettings() }
	}
	for _, d := range []struct {
		value *time.Duration
		unset time.Duration
	}{
		{&config.HandshakeTimeout, 10 * time.Second},
		{&config.HeaderTimeout, 10 * time.Second},
		{&config.IdleTimeout, 2 * time.Minute},
		{&config.DrainTimeout, 25 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	p := &Proxy{config: config, log: config.Logger, pseudonym: newPseudonym(), conns: newLiveConns(), inner: newHandover(), pipes: &pipePool{}, rest: newRest(),
		kept: newBudget(), clientTLS: newClientTLS(config.Leaves)}
	p.dialer = newDialer(config)
	route, err := p.newRoute(config.UpstreamProxy)
	if err != nil {
		return nil, err
	}
	p.dialer.route.Store(route)
	p.upstreams = newUpstreams(config, p.dialer)
	p.door = newDoor(p)
	p.inner1, p.inner2 = p.newServer(p.serveInner, maxRequestHeader), p.newHTTP2Server()
	return p, nil
}

// Run serves clients at the doors until ctx ends, then stops accepting, lets
// what is in flight finish within the drain timeout, and cuts the rest. It returns
// when every connection and goroutine has ended; the error is that of a listener
// that failed by itself.
func (p *Proxy) Run(ctx context.Context, doors ...Door) error {
	failed := make(chan error, len(doors))
	for _, d := range doors {
		server := p.serves(d)
		p.wait.Go(func() {
			// What is in flight outlives ctx.
			if err := server.Serve(context.WithoutCancel(ctx), d.Listener); !errors.Is(err, http1.ErrClosed) {
				failed <- fmt.Errorf("listener %s: %w", d.Listener.Addr(), err)
			}
		})
	}
	p.wait.Go(func() { _ = p.inner2.Serve(p.inner) }) // ends when it is closed below
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	p.drain()
	p.wait.Wait()
	p.tunnels.Wait()
	p.pipes.close()
	p.rest.close()
	p.upstreams.close()
	return err
}

// drain ends the servers. The doors first: a connection that was taken over from one
// shows up in conns until it is handed to an inner server or has ended. Then those that have
// been told yes may make their first request.
func (p *Proxy) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.DrainTimeout)
	defer cancel()
	var doors sync.WaitGroup // at once: none accepts while another waits
	for _, d := range p.served() {
		doors.Go(func() { _ = d.server.Shutdown(ctx) })
	}
	doors.Wait()
	p.beginnings.wait(ctx)
	_ = p.inner1.Shutdown(ctx)
	_ = p.inner2.Shutdown(ctx)
	if cut := p.conns.drain(ctx); cut > 0 {
		p.log.Warn("connections cut after the drain timeout", zap.Int("connections", cut), zap.Duration("timeout", p.config.DrainTimeout))
	}
	for _, d := range p.served() {
		d.server.Close()
	}
	p.inner1.Close()
	_ = p.inner2.Close()
}

// Reloaded tells the proxy that the index was swapped, or that settings changed:
// idle connections of what changed or was removed are closed now, and what was learnt
// about pairs is forgotten.
func (p *Proxy) Reloaded() { p.upstreams.refresh(p.config.Index) }
