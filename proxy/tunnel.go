package proxy

import (
	"io"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// tunnel connects to the host and carries bytes both ways, untouched, until both
// directions have ended. Between two bare TCP connections io.Copy splices, so the
// bytes never enter this process.
func (p *Proxy) tunnel(r *http.Request, c *connect, client net.Conn) {
	fields := []zap.Field{zap.String("client", c.client), zap.String("host", c.authority)}
	upstream, err := p.dialer.connect(r.Context(), c.authority, p.config.Host(c.authority).ConnectTimeout)
	if err != nil {
		refused := dialRefusal(c.authority, err)
		p.log.Warn("tunnel refused", append(fields, zap.Int("status", refused.status),
			zap.String("reason", refused.text), zap.Duration("duration", time.Since(c.began)))...)
		_ = client.SetDeadline(time.Now().Add(p.config.HeaderTimeout))
		_ = refused.writeTo(client, r)
		lingeringClose(client)
		return
	}
	defer func() { _ = upstream.Close() }()
	p.conns.add(upstream)
	defer p.conns.remove(upstream)

	var up, down int64
	var upErr, downErr error
	done := make(chan struct{})
	if _, err := io.WriteString(client, established); err == nil {
		go func() {
			defer close(done)
			down, downErr = pipe(client, upstream)
		}()
		up, upErr = p.upward(c, upstream, client)
		<-done
	}
	fields = append(fields, zap.Int64("bytes_up", up), zap.Int64("bytes_down", down), zap.Duration("duration", time.Since(c.began)))
	if err := firstOf(upErr, downErr); err != nil {
		fields = append(fields, zap.String("ended_by", err.Error()))
	}
	p.log.Info("tunnel closed", fields...)
}

// upward carries the client's bytes, those sent right behind the CONNECT first.
func (p *Proxy) upward(c *connect, upstream, client net.Conn) (int64, error) {
	early := c.writer.earlyBytes()
	if n, err := upstream.Write(early); err != nil {
		abort(upstream, client)
		return int64(n), err
	}
	n, err := pipe(upstream, client)
	return n + int64(len(early)), err
}

// pipe copies one direction and passes its end on: an end of file as a half-close,
// an error as the end of both connections.
func pipe(dst, src net.Conn) (int64, error) {
	n, err := io.Copy(dst, src)
	if err != nil {
		abort(dst, src)
		return n, err
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return n, nil
	}
	return n, dst.Close()
}

// abort ends both connections, so that a copy waiting on either returns.
func abort(a, b net.Conn) {
	_ = a.Close()
	_ = b.Close()
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
