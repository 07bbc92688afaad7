package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeSize is how many bytes a pipe is asked to take, and one splice to move.
const pipeSize = 1 << 20

// copyHalf carries one direction of a tunnel. Between TCP connections the bytes are
// spliced: they go from socket to socket by way of a pipe in the kernel and never
// enter this process.
//
// io.Copy would splice too, but hold a pipe in each direction for as long as the
// tunnel lives, four descriptors where two do. Here a direction has a pipe only while
// bytes are in it.
func copyHalf(dst, src net.Conn, pipes *pipePool) (int64, error) {
	to, ok1 := dst.(*net.TCPConn)
	from, ok2 := src.(*net.TCPConn)
	if !ok1 || !ok2 {
		return io.Copy(dst, src)
	}
	in, err := from.SyscallConn()
	if err != nil {
		return 0, err
	}
	out, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	var total int64
	for {
		p, n, err := pipes.fill(in)
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			// Through this process, without a pipe: TCP connections that io.Copy knows as such
			// would get one, and keep it until the next collection.
			n, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
			return total + n, err
		}
		if err != nil || n == 0 {
			return total, err
		}
		for moved := 0; moved < n; {
			m, err := p.drain(out, n-moved)
			if err != nil {
				p.close()
				return total, err
			}
			moved += m
			total += int64(m)
		}
		pipes.put(p)
	}
}

// A pipe is the kernel's buffer between two sockets.
type pipe struct{ r, w int }

func newPipe() (*pipe, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	// Without the larger size, which a user may have had too much of, it is slower.
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[0]), syscall.F_SETPIPE_SZ, pipeSize)
	return &pipe{r: fds[0], w: fds[1]}, nil
}

func (p *pipe) close() {
	_ = syscall.Close(p.r)
	_ = syscall.Close(p.w)
}

// A pipePool keeps the empty pipes that are not in use, for as long as others are.
type pipePool struct {
	mu    sync.Mutex
	free  []*pipe
	used  time.Time   // when a pipe was last given out
	timer *time.Timer // runs sweep while there are free pipes
}

const (
	// freePipes bounds the empty pipes that are kept.
	freePipes = 16
	// keepPipes is for how long they are kept when nothing moves in any tunnel.
	keepPipes = time.Second
)

func (p *pipePool) get() (*pipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
	if last := len(p.free) - 1; last >= 0 {
		out := p.free[last]
		p.free = p.free[:last]
		return out, nil
	}
	return newPipe()
}

func (p *pipePool) put(q *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) >= freePipes {
		q.close()
		return
	}
	p.free = append(p.free, q)
	if p.timer == nil {
		p.timer = time.AfterFunc(keepPipes, p.sweep)
	}
}

// sweep closes the pipes that are kept, unless some were used lately.
func (p *pipePool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return // closed meanwhile
	}
	if time.Since(p.used) < keepPipes {
		p.timer.Reset(keepPipes)
		return
	}
	p.drop()
}

// close closes the pipes that are kept.
func (p *pipePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// drop closes the free pipes. The caller holds mu.
func (p *pipePool) drop() {
	for _, q := range p.free {
		q.close()
	}
	p.free = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// fill waits until src has bytes and returns a pipe with them. At src's end there is
// neither pipe nor byte.
func (p *pipePool) fill(src syscall.RawConn) (filled *pipe, n int, err error) {
	waited := src.Read(func(fd uintptr) bool {
		var q *pipe
		if q, err = p.get(); err != nil {
			return true
		}
		n, err = splice(int(fd), q.w, pipeSize)
		if n > 0 {
			filled = q
			return true
		}
		p.put(q) // nothing is in it
		return !errors.Is(err, syscall.EAGAIN)
	})
	if waited != nil {
		return nil, 0, waited
	}
	if err != nil {
		return nil, 0, os.NewSyscallError("splice", err)
	}
	return filled, n, nil
}

// drain moves up to n bytes of the pipe to dst, waiting until it takes some.
func (p *pipe) drain(dst syscall.RawConn, n int) (moved int, err error) {
	waited := dst.Write(func(fd uintptr) bool {
		moved, err = splice(p.r, int(fd), n)
		return !errors.Is(err, syscall.EAGAIN)
	})
	if waited != nil {
		return 0, waited
	}
	if err != nil {
		return 0, os.NewSyscallError("splice", err)
	}
	return moved, nil
}

// splice moves bytes between a socket and a pipe without waiting.
func splice(from, to, n int) (int, error) {
	const nonblock = 2 // SPLICE_F_NONBLOCK, of splice(2)
	for {
		moved, err := syscall.Splice(from, nil, to, nil, n, nonblock)
		if err != syscall.EINTR {
			return int(max(moved, 0)), err
		}
	}
}
