package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

var errAnswered = errors.New("http1: the connection cannot be taken over: the answer has begun")

// Hijack implements [http.Hijacker]. The reader holds what the client has sent behind
// its request, and little more. Deadlines are cleared.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.c
	if c.phase.Load() == taken {
		return nil, nil, http.ErrHijacked
	}
	if w.status != 0 {
		return nil, nil, errAnswered
	}
	if w.body != nil {
		w.body.end()
	}
	c.watch.stop()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return nil, nil, fmt.Errorf("http1: %w", err)
	}
	early, _ := c.br.Peek(c.br.Buffered()) // cannot fail: it is buffered
	c.src.ahead = append(bytes.Clone(early), c.src.ahead...)
	c.release()
	br := bufio.NewReaderSize(&c.src, len(c.src.ahead))
	_, _ = br.Peek(len(c.src.ahead)) // cannot fail: it is at hand
	c.phase.Store(taken)
	c.server.remove(c)
	return c.nc, bufio.NewReadWriter(br, bufio.NewWriterSize(c.nc, hijackedWriter)), nil
}

// hijackedWriter is enough for the one header that is written to such a connection.
const hijackedWriter = 512
