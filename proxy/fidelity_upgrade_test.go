package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// upgrading is a server that changes to any protocol. Its first bytes are in the
// segment of the 101. The connection goes to the test, which drives both ends.
func upgrading(t *testing.T, first string, raised chan<- *upgraded) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n%s",
			req.Header.Get("Upgrade"), first)
		raised <- &upgraded{Conn: conn.(*tls.Conn), Reader: rw.Reader}
	}
}

// An upgraded is one end of an upgraded connection.
type upgraded struct {
	*tls.Conn
	*bufio.Reader
}

// expect reads what the other end has sent.
func (u *upgraded) expect(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(u.Reader, got); err != nil || string(got) != want {
		t.Fatalf("%q arrived, %v; want %q", got, err, want)
	}
}

// expectEnd reads the other end's end of file.
func (u *upgraded) expectEnd(t *testing.T) {
	t.Helper()
	if b, err := u.ReadByte(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q arrived, %v; want the end", b, err)
	}
}

// upgrade changes the protocol with bytes right behind the request and right behind
// the answer, and returns both ends.
func (w *way) upgrade(t *testing.T, protocol, early, first string) (client, server *upgraded) {
	t.Helper()
	raised := make(chan *upgraded, 1)
	w.serve(upgrading(t, first, raised))
	conn, br := w.secure(w.host, "localhost")
	_, _ = fmt.Fprintf(conn, "POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\n\r\n%s",
		w.host, protocol, early)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != protocol || resp.Header.Get("Connection") != "Upgrade" ||
		resp.Header.Get("X-Stream-Protocol-Version") != "v4.channel.k8s.io" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	client, server = &upgraded{Conn: conn, Reader: br}, await(t, "the upgraded connection", raised)
	t.Cleanup(func() { _ = server.Close() })
	_ = server.SetDeadline(deadline())
	server.expect(t, early)
	client.expect(t, first)
	return client, server
}

func TestAnUpgradedConnectionCarriesBothDirections(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, protocol := range []string{"tcp", "SPDY/3.1"} {
			for _, early := range []string{"", "early"} {
				client, server := w.upgrade(t, protocol, early, "first")
				for range 3 {
					_, _ = io.WriteString(client.Conn, "\x80\x03question\x00")
					server.expect(t, "\x80\x03question\x00")
					_, _ = io.WriteString(server.Conn, "\r\nanswer\xff")
					client.expect(t, "\r\nanswer\xff")
				}
			}
		}
	})
}

// As docker run -i does at the end of its input: the output is still to come.
func TestAClientMayEndItsHalfOfAnUpgradedConnection(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, early := range []string{"", "early"} {
			client, server := w.upgrade(t, "tcp", early, "")
			_, _ = io.WriteString(client.Conn, "the last of stdin")
			_ = client.CloseWrite()
			server.expect(t, "the last of stdin")
			server.expectEnd(t)
			_, _ = io.WriteString(server.Conn, "what it came to")
			client.expect(t, "what it came to")
			_ = server.Close()
			client.expectEnd(t)
		}
	})
}

func TestAServerMayEndItsHalfOfAnUpgradedConnection(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, early := range []string{"", "early"} {
			client, server := w.upgrade(t, "tcp", early, "")
			_, _ = io.WriteString(server.Conn, "the last of stdout")
			_ = server.CloseWrite()
			client.expect(t, "the last of stdout")
			client.expectEnd(t)
			_, _ = io.WriteString(client.Conn, "still typing")
			server.expect(t, "still typing")
			_ = client.Close()
			server.expectEnd(t)
		}
	})
}

func TestAnUpgradedConnectionThatBreaksIsBrokenOnTheOtherSide(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		for _, from := range []string{"client", "server"} {
			client, server := w.upgrade(t, "tcp", "", "")
			gone, left := client, server
			if from == "server" {
				gone, left = server, client
			}
			raw := gone.NetConn()
			if tcp, ok := raw.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset
			}
			_ = raw.Close()
			if _, err := io.Copy(io.Discard, left.Reader); isTimeout(err) {
				t.Error("the other side waits on")
			}
		}
	})
}

func TestAServerThatWillNotUpgradeIsHeard(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Upgrade") != "" {
				rw.WriteHeader(http.StatusUpgradeRequired)
			}
			_, _ = io.WriteString(rw, "in plain HTTP")
		})
		conn, br := w.secure(w.host, "localhost")
		resp, body := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host, "Connection: Upgrade", "Upgrade: websocket")
		if resp.StatusCode != http.StatusUpgradeRequired || body != "in plain HTTP" {
			t.Errorf("%s %q", resp.Status, body)
		}
		if resp, body := ask(t, conn, br, "GET / HTTP/1.1", "Host: "+w.host); resp.StatusCode != 200 || body != "in plain HTTP" {
			t.Errorf("the next request: %s %q", resp.Status, body)
		}
	})
}
