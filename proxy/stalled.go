package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
)

// answeredBy says whose answer it is, where an earlier attempt's is returned.
func (s *stall) answeredBy(body io.ReadCloser) {
	switch body := body.(type) {
	case *answerBody:
		if !body.done { // the connection may be another request's by now
			s.carriedBy(body.s)
		}
	case *http2Answer:
		s.carriedBy(body.call)
	}
}

// tells says who has stopped, and what to do; nothing where nobody has.
func (s *stall) tells(host string) (text, hint string) {
	why := s.ended()
	if why == nobody {
		return "", ""
	}
	const setting = "stream_idle_timeout sets how long no byte may move"
	during := " for " + s.limit.String()
	switch why {
	case hostSending:
		return host + " sent nothing more of its answer" + during, "look at the server's log; " + setting
	case bothSending:
		return "neither " + host + " nor the client sent anything more" + during, "if both are rightly silent, let them say something now and then; " + setting
	case hostTaking:
		return host + " took nothing more of the request's body" + during, "look at the server's log; " + setting
	case clientReading:
		return "the client read nothing more of the answer of " + host + during, "look at what the client does; " + setting
	case clientSending, nobody:
	}
	return "the client sent nothing more of its body for " + host + during, "look at what the client does; " + setting
}

// stalledRefusal answers a request that stalled before there was an answer: 504 where
// the host stopped, 408 where the client did (RFC 9110 section 15.5.9).
func stalledRefusal(s *stall, host string) *refusal {
	text, hint := s.tells(host)
	if s.ended() == clientSending {
		return &refusal{status: http.StatusRequestTimeout, kind: "http_request_error", text: text, hint: hint, close: true}
	}
	return &refusal{status: http.StatusGatewayTimeout, kind: "connection_write_timeout", text: text, hint: hint}
}

// clientNetConn returns the client's connection, or nil where it is not known.
func clientNetConn(ctx context.Context) net.Conn {
	if inner, ok := ctx.Value(interceptKey{}).(*interceptedConn); ok {
		return inner.wire
	}
	if c := clientConnOf(ctx); c != nil {
		return c.conn
	}
	return nil
}
