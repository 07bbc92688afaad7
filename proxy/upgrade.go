package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

var errOtherProtocol = errors.New("it switched to another protocol than it was asked for")

// switchProtocols passes a 101 on and then carries bytes both ways, each half until
// its own end: a client that has said all it had to say may still be told something.
func (p *Proxy) switchProtocols(w *recorder, r *http.Request, x *exchange, resp *http.Response) {
	upstream, ok := resp.Body.(*upgradedConn)
	if !ok || !strings.EqualFold(upgradeTo(resp.Header), upgradeTo(r.Header)) {
		p.answerError(w, r, x, errOtherProtocol)
		return
	}
	client, rw, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, in which nothing can be asked to switch
		p.answerError(w, r, x, errUnasked101)
		return
	}
	defer func() { _ = client.Close() }()
	if !p.conns.add(client) { // its server has forgotten it
		return
	}
	defer p.conns.remove(client)
	w.status = http.StatusSwitchingProtocols
	h := make(http.Header, len(resp.Header))
	endToEnd(h, resp.Header)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, resp.Header["Upgrade"]
	addVia(h, resp.ProtoMajor, resp.ProtoMinor, p.pseudonym)
	answer := http.Response{StatusCode: resp.StatusCode, ProtoMajor: 1, ProtoMinor: 1, Header: h}
	_ = client.SetWriteDeadline(time.Now().Add(p.config.HeaderTimeout))
	if answer.Write(rw) != nil || rw.Flush() != nil {
		return
	}
	_ = client.SetWriteDeadline(time.Time{})
	// What the client sent behind its request is in the reader; from then on its
	// connection is read itself, for at its end the reader would cancel the request.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // cannot fail: it is buffered
	up := make(chan struct{})
	go func() {
		defer close(up)
		x.up = carryHalf(upstream, io.MultiReader(bytes.NewReader(early), client), client, upstream)
	}()
	w.bytes = carryHalf(client, upstream, client, upstream)
	<-up
}

// carryHalf copies one direction and passes its end on; an error ends both.
func carryHalf(dst io.Writer, src io.Reader, client net.Conn, upstream *upgradedConn) int64 {
	n, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); err == nil && ok {
		err = half.CloseWrite()
	}
	if err != nil {
		_ = client.Close()
		upstream.s.conn.kill()
	}
	return n
}
