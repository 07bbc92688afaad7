package upstreamproxy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// secure puts TLS in front of a proxy, with a certificate of the CA for 127.0.0.1.
// hello is told what the client offers.
func secure(t *testing.T, ca *throwaway.Certificate, hello func(*tls.ClientHelloInfo), each func(net.Conn)) (addr string) {
	t.Helper()
	config := throwawayTLS(ca)
	config.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		hello(info)
		return nil, nil
	}
	return serve(t, func(c net.Conn) {
		server := tls.Server(c, config)
		defer server.Close()
		each(server)
	})
}

func TestAnHTTPSProxyIsSpokenToOverTLS(t *testing.T) {
	ca := throwaway.NewCA("the site's CA")
	s := newScript(yes + "SSH-2.0-OpenSSH_9.2\r\n")
	var offered []string
	addr := secure(t, ca, func(info *tls.ClientHelloInfo) { offered = info.SupportedProtos }, func(c net.Conn) {
		s.proxy(c)
		_, _ = io.WriteString(c, "the end") // after the client's
	})
	d := newDialer(t, Config{URL: "https://user:s3cret@" + addr, RootCAs: ca.Pool()})
	conn, err := d.DialContext(soon(t), "tcp", "registry.example:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echoes(t, conn, "SSH-2.0-OpenSSH_9.2\r\n")
	if got := s.request(t); !strings.Contains(got, "Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n") {
		t.Errorf("the proxy was asked %q; want it with credentials", got)
	}
	if !slices.Equal(offered, []string{"http/1.1"}) {
		t.Errorf("offered %q; want http/1.1 alone", offered)
	}
	// A tunnel needs both ends to close by themselves.
	if err := conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(conn); err != nil || string(rest) != "the end" {
		t.Errorf("after our end came %q, %v; want %q", rest, err, "the end")
	}
}

func TestAnHTTPSProxyThatIsNotWhatItShouldBeGetsNoCredentials(t *testing.T) {
	ca := throwaway.NewCA("the site's CA")
	s := newScript(yes)
	good := secure(t, ca, func(*tls.ClientHelloInfo) {}, s.proxy)
	t.Run("its CA is not trusted", func(t *testing.T) {
		d := newDialer(t, Config{URL: "https://user:s3cret@" + good, RootCAs: throwaway.NewCA("another").Pool()})
		_, err := d.DialContext(soon(t), "tcp", "registry.example:443")
		e := fails(t, err, ErrHandshake, good)
		if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) || !strings.Contains(e.Hint, "trusts the CA") {
			t.Errorf("%v; want one about its CA", err)
		}
	})
	t.Run("its name is another", func(t *testing.T) {
		d := newDialer(t, Config{
			URL: "https://user:s3cret@proxy.example:3129", RootCAs: ca.Pool(),
			Dial: redirect(good),
		})
		_, err := d.DialContext(soon(t), "tcp", "registry.example:443")
		e := fails(t, err, ErrHandshake, "proxy.example:3129")
		if mismatch := (x509.HostnameError{}); !errors.As(err, &mismatch) || !strings.Contains(e.Hint, "the name in upstream_proxy") {
			t.Errorf("%v; want one about its name", err)
		}
	})
	t.Run("it speaks no TLS", func(t *testing.T) {
		plain := serve(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		})
		_, err := through(t, "https://user:s3cret@"+plain).DialContext(soon(t), "tcp", "registry.example:443")
		if e := fails(t, err, ErrHandshake, plain); !strings.Contains(e.Hint, "write http:// in upstream_proxy") {
			t.Errorf("%v; want the hint to write http://", err)
		}
	})
	t.Run("the other way round", func(t *testing.T) {
		_, err := through(t, "http://user:s3cret@"+good).DialContext(soon(t), "tcp", "registry.example:443")
		if e := fails(t, err, ErrNoAnswer, good); !strings.Contains(e.Hint, "http:// or https://") {
			t.Errorf("%v; want the hint to look at the scheme", err)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) > 0 {
		t.Errorf("the proxy was asked %q", s.asked)
	}
}

// throwawayTLS is a proxy's configuration, with a certificate of the CA.
func throwawayTLS(ca *throwaway.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.Issue(throwaway.Options{Name: "proxy", Hosts: []string{"127.0.0.1", "plain.example"}}).TLS()}}
}

// The rule for the keys of hosts is the one for the site's proxy, which is sent its
// credentials.
func TestAProxyWithAnRSAKeyThatIsTooShortIsNotTrusted(t *testing.T) {
	ca := throwaway.NewCA("the site's CA")
	for bits, trusted := range map[int]bool{1024: false, 2048: true} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{}, 1)
		proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
		proxy.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(throwaway.Options{Name: "proxy", Hosts: []string{"127.0.0.1"}, Key: key}).TLS()}}
		proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that fails is the point
		proxy.StartTLS()
		t.Cleanup(proxy.Close)
		d := newDialer(t, Config{URL: "https://user:s3cret@" + proxy.Listener.Addr().String(), RootCAs: ca.Pool()})
		resp, err := forwarding(t, d).Get("http://files.example/a")
		if err == nil {
			resp.Body.Close()
		}
		var e *Error
		if trusted {
			if err != nil || len(asked) != 1 {
				t.Errorf("%d bits: %v", bits, err)
			}
		} else if !errors.As(err, &e) || e.Kind != ErrHandshake || !strings.Contains(e.Text, "1024 bits") || !strings.Contains(e.Hint, "2048") || len(asked) > 0 {
			t.Errorf("%d bits: %v, asked %d times", bits, err, len(asked))
		}
	}
}
