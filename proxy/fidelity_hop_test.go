package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Fields about one leg are for the other end of that leg (RFC 9110 section 7.6.1).

func TestFieldsAboutTheClientsConnectionStayThere(t *testing.T) {
	everyWay(t, []string{proto10, proto11}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		conn, br := w.secure(w.host, "localhost")
		_, _ = io.WriteString(conn, "GET / "+w.proto+"\r\nHost: "+w.host+"\r\n"+
			"Connection: X-Private, keep-alive\r\nConnection: x-second,TE\r\n"+
			"X-Private: 1\r\nX-Second: 1\r\nX-Stays: 1\r\n"+
			"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, deflate;q=0.5\r\n"+
			"Upgrade: not-asked-for\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n")
		answerTo(t, br, "GET")
		got := await(t, "the request", arrived).fields
		for _, name := range []string{"X-Private", "X-Second", "Keep-Alive", "Proxy-Connection", "Upgrade", "Proxy-Authorization"} {
			if v, ok := got[name]; ok {
				t.Errorf("the server saw %s: %q", name, v)
			}
		}
		if te := got.Get("TE"); te != "" && te != "trailers" {
			t.Errorf("the server saw TE: %q, whose codings nobody here undoes", te)
		}
		if strings.Contains(strings.ToLower(strings.Join(got["Connection"], ",")), "private") || got.Get("X-Stays") != "1" {
			t.Errorf("the server saw %v", got)
		}
	})
}

// Without it a gRPC server refuses the call.
func TestThatAClientTakesTrailersIsSaid(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		req := w.request("GET", "/", nil)
		req.Header.Set("TE", "trailers")
		w.send(req)
		if got := await(t, "the request", arrived).fields["Te"]; len(got) != 1 || got[0] != "trailers" {
			t.Errorf("the server saw TE: %q", got)
		}
	})
}

func TestFieldsAboutTheServersConnectionStayThere(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(verbatim("HTTP/1.1 200 OK\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nX-Stays: 1\r\n" +
			"Keep-Alive: timeout=5, max=100\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n"))
		resp, _ := w.send(w.request("GET", "/", nil))
		for _, name := range []string{"X-Private", "Keep-Alive", "Proxy-Connection"} {
			if v, ok := resp.Header[name]; ok {
				t.Errorf("the client saw %s: %q", name, v)
			}
		}
		if strings.Contains(resp.Header.Get("Connection"), "X-Private") || resp.Header.Get("X-Stays") != "1" {
			t.Errorf("the client saw %v", resp.Header)
		}
	})
}

// What a client names in Connection is for the proxy alone, whatever it is.
func TestForwardingFieldsNamedInConnectionStayThere(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 1)
		w.serve(receiving(arrived))
		conn, br := w.secure(w.host, "localhost")
		ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host, "Connection: X-Forwarded-For, Forwarded", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1")
		if got := await(t, "the request", arrived).fields; got.Get("X-Forwarded-For") != "" || got.Get("Forwarded") != "" {
			t.Errorf("the server saw %v", got)
		}
	})
}

// That a server names beside close is lost to us: the standard library takes the field
// out of an answer's header when close is in it.
func TestFieldsThatAClientNamesBesideCloseStayThereToo(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		seen := make(chan string, 1)
		w.serve(func(_ http.ResponseWriter, req *http.Request) { seen <- req.Header.Get("X-Private") })
		conn, br := w.secure(w.host, "localhost")
		ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host, "Connection: X-Private, close", "X-Private: 1")
		if got := await(t, "the request", seen); got != "" {
			t.Errorf("the server saw X-Private: %q", got)
		}
	})
}
