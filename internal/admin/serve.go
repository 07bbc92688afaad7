package admin

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections bounds what clients that do nothing can hold.
const maxConnections = 64

// maxStrangers is how many whoever is not admitted can have, beside those: health needs no
// more, and on a port any user of this machine could keep the others out.
const maxStrangers = 16

// Serve answers at a listener until ctx ends, and closes it. What is being answered then
// is cut after two seconds, event streams at once. The error is that of a listener that
// failed by itself.
func (h *Handler) Serve(ctx context.Context, l net.Listener) error {
	streaming, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // nothing here has a body
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that go: nobody needs to know
		BaseContext:       func(net.Listener) context.Context { return streaming },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if p, ok := conn.(*placed); ok {
				return context.WithValue(ctx, admissionKey{}, p.refused)
			}
			return context.WithValue(ctx, admissionKey{}, h.config.Admit(conn))
		},
	}
	failed := make(chan error, 1)
	var wait sync.WaitGroup
	wait.Go(func() { failed <- server.Serve(newLimited(l, h.config.Admit)) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end()
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(rest) != nil {
		_ = server.Close()
	}
	wait.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// A limited listener has so many places, and turns those away that find none: waiting
// would keep the one out who looks for the cause.
type limited struct {
	net.Listener
	admit             func(net.Conn) error
	places, strangers chan struct{}
}

func newLimited(l net.Listener, admit func(net.Conn) error) *limited {
	return &limited{Listener: l, admit: admit, places: make(chan struct{}, maxConnections), strangers: make(chan struct{}, maxStrangers)}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		refused, places := l.admit(conn), l.places
		if refused != nil {
			places = l.strangers
		}
		select {
		case places <- struct{}{}:
			return &placed{Conn: conn, refused: refused, leave: sync.OnceFunc(func() { <-places })}, nil
		default:
			_ = conn.Close()
		}
	}
}

type placed struct {
	net.Conn
	refused error // why whoever it is may not see anything but health, or nil
	leave   func()
}

// NetConn returns the connection itself, of which the kernel can be asked.
func (p *placed) NetConn() net.Conn { return p.Conn }

func (p *placed) Close() error {
	p.leave()
	return p.Conn.Close()
}
