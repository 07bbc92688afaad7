package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
)

// chunks are a body that comes in chunks. net/http decodes them, and is strict with
// them. It is not with the trailers behind them: it accepts bare line feeds, so that
// what one reader takes for a trailer would be the next request of another. They are
// held to the same rules as a header.
type chunks struct {
	r   *bufio.Reader
	src io.Reader
	req *http.Request
	err error
}

func newChunks(r *bufio.Reader, req *http.Request) *chunks {
	return &chunks{r: r, src: httputil.NewChunkedReader(r), req: req}
}

// Read implements io.Reader.
func (c *chunks) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p)
	if errors.Is(err, io.EOF) {
		err = c.readTrailers()
	}
	if err != nil && !errors.Is(err, io.EOF) && !isConnectionError(err) && !errors.As(err, new(*Malformed)) {
		err = malformed("its body is not in chunks (" + err.Error() + ")")
	}
	c.err = err
	return n, err
}

// Close implements io.Closer.
func (c *chunks) Close() error { return nil }

// isConnectionError reports whether an error is about the connection and not about what
// came over it.
func isConnectionError(err error) bool {
	return errors.As(err, new(net.Error)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

var (
	errLongTrailers = malformed("its trailers are too long")
	errTrailer      = malformed("a trailer frames or routes it")
)

// readTrailers reads what is behind the last chunk. It returns io.EOF if that is in order.
func (c *chunks) readTrailers() error {
	block, err := c.trailers()
	if err != nil || len(block) == 0 {
		return err
	}
	for fields := block[:len(block)-2]; len(fields) > 0; {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if _, _, why := checkField(field); why != nil {
			return why
		}
	}
	trailers, err := textproto.NewReader(c.r).ReadMIMEHeader() // all of them are buffered
	if err != nil {
		return err
	}
	for name, values := range trailers {
		if isFraming(name) {
			return errTrailer
		}
		if c.req.Trailer == nil {
			c.req.Trailer = http.Header{}
		}
		c.req.Trailer[name] = values
	}
	return io.EOF
}

// trailers waits until all trailers are buffered and returns their bytes, which end with
// an empty line. Where there are none, the empty line is read, and the error is io.EOF.
func (c *chunks) trailers() ([]byte, error) {
	for seen := 0; ; {
		have, _ := c.r.Peek(c.r.Buffered()) // cannot fail: it is buffered
		if skip := emptyLine(have); skip > 0 {
			_, _ = c.r.Discard(skip)
			return nil, io.EOF
		}
		end := bytes.Index(have, []byte("\r\n\r\n"))
		if end >= 0 {
			have = have[:end+4]
		}
		switch why := checkBegun(have, min(seen, len(have))); {
		case why != nil:
			return nil, why
		case end >= 0:
			return have, nil
		case len(have) == c.r.Size():
			return nil, errLongTrailers
		}
		seen = len(have)
		if _, err := c.r.Peek(seen + 1); errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
}
