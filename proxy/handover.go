package proxy

import (
	"context"
	"net"
	"sync"
)

// A handover is a listener whose connections come from the other server: the one
// that parsed their CONNECT.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands a connection to the server that accepts here. It reports whether the
// server took it; it does not when it is shutting down.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is only shown: the connections bring their own.
func (h *handover) Addr() net.Addr { return &net.UnixAddr{Name: "intercepted", Net: "internal"} }

// liveConns are the hijacked connections that no http.Server knows of any more.
type liveConns struct {
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	over    bool          // drained: no more are taken
	changed chan struct{} // closed and replaced at each removal
}

func newLiveConns() *liveConns {
	return &liveConns{conns: map[net.Conn]struct{}{}, changed: make(chan struct{})}
}

// add reports whether the connection may live. Once all are drained none may.
func (l *liveConns) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.conns[c] = struct{}{}
	}
	return !l.over
}

func (l *liveConns) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	close(l.changed)
	l.changed = make(chan struct{})
}

// drain waits until no connection is left. When ctx ends first it closes the rest,
// waits for their owners all the same, and returns how many it cut.
func (l *liveConns) drain(ctx context.Context) (cut int) {
	for {
		l.mu.Lock()
		left, changed := len(l.conns), l.changed
		l.over = left == 0
		if left > 0 && ctx.Err() != nil && cut == 0 {
			cut = left
			for c := range l.conns {
				_ = c.Close()
			}
		}
		l.mu.Unlock()
		if left == 0 {
			return cut
		}
		if cut > 0 {
			<-changed
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
