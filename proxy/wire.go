package proxy

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

// wireSize is how much a wide wire reads and writes at once: eight TLS records.
const wireSize = 128 << 10

// bulk is from how many bytes on a transfer is worth wide reads and writes.
const bulk = 256 << 10

// A wire is a TCP connection below TLS. crypto/tls reads and writes a record at a
// time, 16 KiB at most; during a large transfer a wire can be made wide, and takes
// many with one system call. A small request it would only cost a copy.
//
// Reading and writing are for one goroutine each, as crypto/tls does it.
type wire struct {
	net.Conn

	wideIn atomic.Bool
	ahead  atomic.Int64 // how many bytes are read ahead
	in     []byte       // read ahead and not yet asked for
	inBuf  *wireBuffer  // what in is a part of; nil when it is not of the pool

	mu      sync.Mutex // of all below, for a flush comes from elsewhere
	wideOut bool
	out     []byte
	outBuf  *wireBuffer
	buffers *wireBuffers

	open *atomic.Int64 // counts those that are open; nil counts none
	shut atomic.Bool   // Close was called
}

// newWire returns a wire whose first bytes have been read already.
func newWire(c net.Conn, early []byte, buffers *wireBuffers) *wire {
	w := &wire{Conn: c, in: early, buffers: buffers}
	w.ahead.Store(int64(len(early)))
	return w
}

// Close implements net.Conn. It may be called by anybody at any time.
func (w *wire) Close() error {
	if w.open != nil && w.shut.CompareAndSwap(false, true) {
		w.open.Add(-1)
	}
	return w.Conn.Close()
}

// CloseWrite ends what is written, and leaves open what is read.
func (w *wire) CloseWrite() error {
	if err := w.flush(); err != nil {
		return err
	}
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// NetConn returns the connection itself.
func (w *wire) NetConn() net.Conn { return w.Conn }

// A wireBuffers lends the buffers of wide wires.
type wireBuffers struct {
	pool   sync.Pool
	budget *budget // of those that exist
}

type wireBuffer [wireSize]byte

// get returns a buffer, or nil when there are too many.
func (b *wireBuffers) get() *wireBuffer {
	if buf, ok := b.pool.Get().(*wireBuffer); ok {
		return buf
	}
	if !b.budget.take(wireSize) {
		return nil
	}
	buf := new(wireBuffer)
	// The pool forgets those that it has too many of, and what is lent is lost with a
	// connection that breaks: the collector alone knows of each.
	runtime.AddCleanup(buf, b.budget.give, wireSize)
	return buf
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if len(w.in) == 0 {
		if !w.wideIn.Load() || len(b) >= wireSize {
			return w.Conn.Read(b)
		}
		buf := w.buffers.get()
		if buf == nil {
			return w.Conn.Read(b)
		}
		n, err := w.Conn.Read(buf[:])
		if n == 0 {
			w.buffers.pool.Put(buf)
			return 0, err
		}
		w.in, w.inBuf = buf[:n], buf // an error comes again with the next read
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	w.ahead.Store(int64(len(w.in)))
	if len(w.in) == 0 && w.inBuf != nil {
		w.buffers.pool.Put(w.inBuf)
		w.in, w.inBuf = nil, nil
	}
	return n, nil
}

// readWide says whether much is to come.
func (w *wire) readWide(wide bool) { w.wideIn.Store(wide) }

// atHand reports whether a read would not wait.
func (w *wire) atHand() bool { return w.ahead.Load() > 0 }

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wideOut {
		return w.Conn.Write(b)
	}
	if len(w.out)+len(b) > wireSize {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	if len(b) > wireSize {
		return w.Conn.Write(b)
	}
	if w.outBuf == nil {
		if w.outBuf = w.buffers.get(); w.outBuf == nil {
			return w.Conn.Write(b)
		}
		w.out = w.outBuf[:0]
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// writeWide says whether much is to be written. While it is so, what was written goes
// out when there is enough of it, or with flush. Its end flushes.
func (w *wire) writeWide(wide bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wideOut = wide
	if wide {
		return nil
	}
	err := w.send()
	if w.outBuf != nil {
		w.buffers.pool.Put(w.outBuf)
		w.out, w.outBuf = nil, nil
	}
	return err
}

// flush sends what was written.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.send()
}

// send sends what was gathered. The caller holds mu.
func (w *wire) send() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.Conn.Write(w.out)
	w.out = w.out[:0]
	return err
}
