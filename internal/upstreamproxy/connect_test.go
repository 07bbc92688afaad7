package upstreamproxy

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
)

const yes = "HTTP/1.1 200 Connection established\r\n\r\n"

func TestATunnelIsABareConnectionWhateverTheYesLooksLike(t *testing.T) {
	for _, c := range []struct{ name, answer, first string }{
		{"nothing but yes", yes, ""},
		{"HTTP/1.0, as tinyproxy", "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", ""},
		{"any 2xx", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"no reason", "HTTP/1.1 200\r\n\r\n", ""},
		{"bare line feeds", "HTTP/1.1 200 OK\nVia: 1.1 squid\n\n", ""},
		{"the host speaks first", yes + "SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
		{"the host speaks first, in newlines", yes + "\r\n\r\n\n\n", "\r\n\r\n\n\n"},
		{"behind bare line feeds too", "HTTP/1.1 200 OK\n\n\nhello", "\nhello"},
		{"1xx before it", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + yes + "hello", "hello"},
		{"Content-Length is ignored", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"two of it", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello", "hello"},
		{"nonsense of it", "HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\nhello", "hello"},
		{"Transfer-Encoding is ignored", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", "5\r\nhello"},
		{"an unknown one", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nhello", "hello"},
		{"Connection: close is ignored", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", ""},
		{"a large header", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 60) + "\r\nhello", "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := answering(t, c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			conn, err := through(t, "http://"+addr).DialContext(ctx, "tcp", "registry.example:443")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, bare := conn.(*net.TCPConn); !bare {
				t.Errorf("the tunnel is a %T; only a bare *net.TCPConn can be spliced", conn)
			}
			cancel() // means nothing to a tunnel that stands
			echoes(t, conn, c.first)
		})
	}
}

func TestTheProxyIsAskedByTheBook(t *testing.T) {
	for _, c := range []struct{ user, host, want string }{
		{"", "registry.example:443", "CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\nUser-Agent: certproxy\r\n\r\n"},
		{"", "[2001:db8::1]:5000", "CONNECT [2001:db8::1]:5000 HTTP/1.1\r\nHost: [2001:db8::1]:5000\r\nUser-Agent: certproxy\r\n\r\n"},
		{"", "10.1.2.3:80", "CONNECT 10.1.2.3:80 HTTP/1.1\r\nHost: 10.1.2.3:80\r\nUser-Agent: certproxy\r\n\r\n"},
		{"user:p%40ss%2Fw%3A%25%C3%B6%20rd@", "a.example:1", "CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\nUser-Agent: certproxy\r\n" +
			"Proxy-Authorization: Basic dXNlcjpwQHNzL3c6JcO2IHJk\r\n\r\n"}, // user:p@ss/w:%ö rd
		{"token@", "a.example:1", "CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\nUser-Agent: certproxy\r\nProxy-Authorization: Basic dG9rZW46\r\n\r\n"},
	} {
		proxy, addr := answering(t, yes)
		conn, err := through(t, "http://"+c.user+addr).DialContext(soon(t), "tcp", c.host)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
		if got := proxy.request(t); got != c.want {
			t.Errorf("the proxy was asked\n%q\nwant\n%q", got, c.want)
		}
	}
}

// What could change the request's meaning goes nowhere.
func TestAHostThatIsNoneIsNotSent(t *testing.T) {
	for _, host := range []string{"a.example:443 HTTP/1.1\r\nX: y", "a.example:443\r\n", "a b:443", "a/b:443", "a@b:443", "bücher.example:443", ":443", "a.example:", "a.example"} {
		proxy, addr := answering(t, yes)
		conn, err := through(t, "http://"+addr).DialContext(soon(t), "tcp", host)
		if err == nil {
			conn.Close()
			t.Errorf("%q is connected to", host)
		}
		proxy.mu.Lock()
		if len(proxy.asked) > 0 {
			t.Errorf("%q was sent as %q", host, proxy.asked)
		}
		proxy.mu.Unlock()
	}
}

func TestWhatIsNotForTheProxyIsDialedDirectly(t *testing.T) {
	proxy, addr := answering(t, yes)
	host := serve(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	conn, err := through(t, "http://"+addr).DialContext(soon(t), "tcp", host) // 127.0.0.1
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echoes(t, conn, "")
	if len(proxy.asked) > 0 {
		t.Errorf("the proxy was asked %q", proxy.asked)
	}
}
