package proxy

import (
	"io"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// tunnel connects to the host and carries bytes both ways, untouched, until both
// directions have ended. It reports whether it goes on after it has returned, and
// owns the client's connection then: nothing of net/http is held by a tunnel that
// may live for days.
func (p *Proxy) tunnel(r *http.Request, c *connect, client net.Conn) bool {
	ctx := r.Context()
	if c.isOther() {
		ctx = forOthers(ctx)
	}
	upstream, err := p.dialer.connect(ctx, c.authority, p.config.Host(c.authority).ConnectTimeout)
	if err != nil {
		refused := dialRefusal(c.authority, err)
		p.log.Warn("tunnel refused", append(c.who(), zap.Int("status", refused.status),
			zap.String("reason", refused.text), zap.Duration("duration", time.Since(c.began)))...)
		p.refusedEarly(&c.visit, r.Method, "", c.began, refused)
		_ = client.SetDeadline(time.Now().Add(p.config.HeaderTimeout))
		_ = refused.writeTo(client, r)
		lingeringClose(client)
		return false
	}
	p.conns.add(upstream)
	t := &tunnel{client: client, upstream: upstream, pipes: p.pipes, within: p.config.HeaderTimeout}
	early := c.takeEarly()
	who, asClient, authority, began := c.who(), c.asClient(), c.authority, c.began
	p.live.tunnels.Add(1)
	p.tunnels.Go(func() {
		defer p.live.tunnels.Add(-1)
		defer p.conns.remove(client)
		defer p.conns.remove(upstream)
		defer func() { p.caught(recover(), authority) }()
		err := t.carry(early)
		end := TunnelEnd{Client: asClient, Host: authority, BytesIn: t.up, BytesOut: t.down, Began: began, Duration: time.Since(began)}
		fields := append(who, zap.Int64("bytes_up", t.up), zap.Int64("bytes_down", t.down), zap.Duration("duration", end.Duration))
		if err != nil {
			end.Broken = err.Error()
			fields = append(fields, zap.String("ended_by", end.Broken))
		}
		p.log.Info("tunnel closed", fields...)
		if p.config.TunnelEnded != nil {
			p.config.TunnelEnded(end)
		}
	})
	return true
}

// A tunnel is the two connections and what went through them.
type tunnel struct {
	client, upstream net.Conn
	pipes            *pipePool
	within           time.Duration // for the client to take its yes
	up, down         int64
}

// carry tells the client yes, and carries bytes until both directions have ended;
// those that the client sent right behind its CONNECT go first. The error is that of
// the direction that broke.
func (t *tunnel) carry(early []byte) error {
	defer t.abort()
	_ = t.client.SetWriteDeadline(time.Now().Add(t.within))
	if _, err := io.WriteString(t.client, established); err != nil {
		return err
	}
	_ = t.client.SetWriteDeadline(time.Time{})
	var downErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.down, downErr = t.half(t.client, t.upstream)
	}()
	n, upErr := t.upstream.Write(early)
	t.up = int64(n)
	if upErr == nil {
		var rest int64
		rest, upErr = t.half(t.upstream, t.client)
		t.up += rest
	} else {
		t.abort()
	}
	<-done
	if upErr != nil {
		return upErr
	}
	return downErr
}

// half copies one direction and passes its end on: an end of file as a half-close,
// an error as the end of both connections, so that a copy waiting on either returns.
func (t *tunnel) half(dst, src net.Conn) (int64, error) {
	n, err := copyHalf(dst, src, t.pipes)
	if err != nil {
		t.abort()
		return n, err
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return n, nil
	}
	return n, dst.Close()
}

func (t *tunnel) abort() {
	_ = t.client.Close()
	_ = t.upstream.Close()
}
