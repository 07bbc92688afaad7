package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// A bubble is a rig whose connections are pipes, so that its clock is a test's
// (testing/synctest): an hour takes no time.
type bubble struct {
	*rig
	mu      sync.Mutex
	servers map[string]*pipeListener
	done    []func()
}

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, test func(b *bubble), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		b := &bubble{rig: &rig{t: t, root: filepath.Join(t.TempDir(), "certs.d"), leaves: throwaway.NewCA("certproxy"), pki: throwaway.NewCA("pki"), logs: logs, addr: "proxy.example:3128"},
			servers: map[string]*pipeListener{}}
		b.store = certs.NewStore([]certs.Root{certs.Dir(b.root)}, nil)
		config := Config{Index: b.store, Leaves: &testLeaves{ca: b.leaves}, Logger: zap.New(core), SystemRoots: x509.NewCertPool(), DialContext: b.dial}
		for _, f := range change {
			f(&config)
		}
		var err error
		if b.proxy, err = New(config); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		l := b.listen(b.addr)
		go func() { ended <- b.proxy.Run(ctx, Door{Listener: l}) }()
		defer func() {
			for _, f := range b.done {
				f()
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		test(b)
	})
}

func (b *bubble) listen(addr string) *pipeListener {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	b.servers[addr] = l
	return l
}

func (b *bubble) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	b.mu.Lock()
	l := b.servers[addr]
	b.mu.Unlock()
	if l == nil {
		return nil, errors.New("nobody listens at " + addr)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// A pipeListener accepts what is dialed.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// host serves a listed host, which has the pair a, by HTTP/1 and HTTP/2. What serves a
// request ends with the bubble.
func (b *bubble) host(name string, h http.HandlerFunc) string {
	b.serve(name, h, true)
	b.list(name, "a")
	return name
}

func (b *bubble) serve(name string, h http.HandlerFunc, secure bool) {
	l := b.listen(name)
	s := &http.Server{Handler: h, ErrorLog: zap.NewStdLog(zap.NewNop()), TLSConfig: &tls.Config{
		Certificates:           []tls.Certificate{b.pki.Issue(throwaway.Options{Name: "server", Hosts: []string{hostName(name)}}).TLS()},
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true, // they would wait in the pipe, which holds nothing, for a client that is writing
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if secure {
			_ = s.ServeTLS(l, "", "")
		} else {
			_ = s.Serve(l)
		}
	}()
	b.done = append(b.done, func() { _ = s.Close(); <-ended })
}

// asker returns a client of HTTP/1.1 or HTTP/2.
func (b *bubble) asker(proto int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(proto == 1)
	protocols.SetHTTP2(proto == 2)
	t := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: b.addr}), TLSClientConfig: &tls.Config{RootCAs: b.leaves.Pool()},
		Protocols: protocols, DisableCompression: true, DialContext: b.dial, ExpectContinueTimeout: time.Second}
	b.done = append(b.done, t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// raw opens an intercepted connection that speaks HTTP/1.1.
func (b *bubble) raw(host string) (*tls.Conn, *bufio.Reader) {
	c, err := b.dial(b.t.Context(), "tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.done = append(b.done, func() { _ = c.Close() })
	_, _ = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), &http.Request{Method: http.MethodConnect})
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("CONNECT: %v, %v", resp, err)
	}
	secured := tls.Client(c, &tls.Config{ServerName: hostName(host), RootCAs: b.leaves.Pool(), NextProtos: []string{"http/1.1"}})
	if err := secured.Handshake(); err != nil {
		b.t.Fatal(err)
	}
	return secured, bufio.NewReader(secured)
}

// request makes a request; the length of its body is not known.
func (b *bubble) request(method, url string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return req
}

// elapse lets time go by.
func elapse(d time.Duration) { <-time.After(d) }
