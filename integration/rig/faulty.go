package rig

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A Faulty host is as honest as an [Honest] one until it is told to be otherwise.
type Faulty struct {
	*Honest
	Met      atomic.Int64 // connections or requests that met the fault
	Answered atomic.Int64 // requests, honestly

	fault    atomic.Pointer[Fault]
	listener net.Listener
	conf     atomic.Pointer[tls.Config]
	over     chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wait  sync.WaitGroup
}

// ServeFaulty starts one.
func ServeFaulty(t testing.TB, name string) *Faulty {
	t.Helper()
	id := NewIdentities(t, name)
	pair := "pair of " + name
	id.Good = id.CA.Issue(options(pair))
	return serveFaulty(t, "127.0.0.1:0", &Honest{&Server{Identities: id}, name, pair})
}

// Twin starts another one with the same name, identities and port, on another loopback
// address.
func (f *Faulty) Twin(t testing.TB, ip string) *Faulty {
	t.Helper()
	return serveFaulty(t, net.JoinHostPort(ip, strconv.Itoa(f.Port)), &Honest{&Server{Identities: f.Identities}, f.Name, f.Pair})
}

func serveFaulty(t testing.TB, addr string, as *Honest) *Faulty {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	as.Port = l.Addr().(*net.TCPAddr).Port
	f := &Faulty{Honest: as, listener: l, over: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	f.Present(as.Identities.Server)
	f.Be(&Fault{})
	f.wait.Go(f.accept)
	t.Cleanup(func() {
		close(f.over)
		l.Close()
		f.Disconnect()
		f.wait.Wait()
	})
	return f
}

func options(name string) throwaway.Options {
	return throwaway.Options{Name: name, NotAfter: time.Now().Add(90 * 24 * time.Hour)}
}

func requireCertificate() *tls.Config { return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert} }

// Present changes the certificate that new connections are shown.
func (f *Faulty) Present(c *throwaway.Certificate) {
	conf := requireCertificate()
	conf.Certificates, conf.ClientCAs = []tls.Certificate{c.TLS()}, f.CA.Pool()
	f.conf.Store(conf)
}

// Be changes what is wrong with the host, from the next connection or request on.
func (f *Faulty) Be(fault *Fault) {
	f.Met.Store(0)
	f.fault.Store(fault)
}

// Disconnect resets all connections there are.
func (f *Faulty) Disconnect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		abandon(c)
	}
}

// abandon closes a connection with a reset.
func abandon(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func (f *Faulty) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		f.wait.Go(func() {
			defer func() {
				f.mu.Lock()
				delete(f.conns, c)
				f.mu.Unlock()
				c.Close()
			}()
			f.serve(c)
		})
	}
}

func (f *Faulty) serve(c net.Conn) {
	if wire := f.fault.Load().Wire; wire != nil {
		f.Met.Add(1)
		c = wire(c)
	}
	secured := tls.Server(c, f.conf.Load())
	if secured.Handshake() != nil {
		return
	}
	in := bufio.NewReader(secured)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		answer, err := f.answer(secured, r)
		if err != nil {
			return
		}
		if deviate := f.fault.Load().Answer; deviate != nil {
			f.Met.Add(1)
			if !deviate(&Deviation{Conn: secured, Raw: c, In: in, Honest: answer, Over: f.over}) {
				return
			}
			continue
		}
		f.Answered.Add(1)
		if _, err := secured.Write(answer); err != nil {
			return
		}
	}
}

// answer returns the bytes of the honest answer.
func (f *Faulty) answer(c *tls.Conn, r *http.Request) ([]byte, error) {
	state := c.ConnectionState()
	r.TLS = &state
	w := &bytesOf{header: http.Header{}}
	if r.Header.Get("Expect") != "" {
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, err
		}
	}
	Honestly(w, r)
	if w.body == nil && w.status == 0 && w.header.Get(PairHeader) == "" {
		return nil, fmt.Errorf("the body of the request broke off")
	}
	return w.bytes(), nil
}
