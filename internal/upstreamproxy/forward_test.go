package upstreamproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// forwarding returns a client that sends each request as its connection wants it.
func forwarding(t *testing.T, d *Dialer) *http.Client {
	return &http.Client{Transport: forwarder{t, d}, Timeout: patience}
}

type forwarder struct {
	t *testing.T
	d *Dialer
}

func (f forwarder) RoundTrip(r *http.Request) (*http.Response, error) {
	conn, forwarding, err := f.d.Forward(r.Context(), "tcp", net.JoinHostPort(r.URL.Host, "80"))
	if err != nil {
		return nil, err
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	write := r.Write
	if forwarding != nil {
		r = r.Clone(r.Context())
		r.Header.Set("Proxy-Authorization", forwarding.Authorization)
		write = r.WriteProxy
	}
	if err := write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), r)
}

func TestPlainRequestsGoToTheProxyWhole(t *testing.T) {
	ca := throwaway.NewCA("the site's CA")
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme+" proxy", func(t *testing.T) {
			proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" as "+basic(r.Header))
			}))
			if scheme == "https" {
				proxy.TLS = throwawayTLS(ca)
				proxy.StartTLS()
			} else {
				proxy.Start()
			}
			t.Cleanup(proxy.Close)
			// What is tunnelled has a proxy of its own: a transport that dialed with
			// DialContext would ask that for a tunnel to this.
			tunnels, tunnelsAddr := answering(t, yes)
			d := newDialer(t, Config{
				RootCAs: ca.Pool(),
				Getenv:  env("HTTPS_PROXY=http://tunnels.example:1", "HTTP_PROXY="+scheme+"://user:p%40ss@plain.example:2"),
				Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					at := map[string]string{"tunnels.example:1": tunnelsAddr, "plain.example:2": proxy.Listener.Addr().String()}
					return new(net.Dialer).DialContext(ctx, network, at[addr])
				},
			})
			resp, err := forwarding(t, d).Get("http://files.example/a?b=c")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if want := "GET http://files.example/a?b=c as user:p@ss"; err != nil || string(body) != want {
				t.Errorf("the proxy got %q, %v; want %q", body, err, want)
			}
			if len(tunnels.asked) > 0 {
				t.Errorf("the other proxy was asked %q", tunnels.asked)
			}
		})
	}
}

func TestPlainRequestsOfNoProxyGoToTheHost(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+basic(r.Header))
	}))
	t.Cleanup(host.Close)
	d := newDialer(t, Config{
		URL:  "https://user:s3cret@files.example:80", // even where the address is the proxy's
		Dial: redirect(host.Listener.Addr().String()), Getenv: env("NO_PROXY=.example"),
	})
	resp, err := forwarding(t, d).Get("http://files.example/a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "/a" {
		t.Errorf("the host got %q, %v; want a request of its own", body, err)
	}
}

func TestErrorsOfForwardingAreAboutTheProxy(t *testing.T) {
	errLoop := errors.New("the destination is this proxy itself")
	d := newDialer(t, Config{URL: "http://user:s3cret@proxy.example", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errLoop
	}})
	resp, err := forwarding(t, d).Get("http://files.example/a")
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, errLoop) || !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "upstream_proxy") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v; want one about the proxy", err)
	}

	ca := throwaway.NewCA("the site's CA")
	proxy := httptest.NewUnstartedServer(http.NotFoundHandler())
	proxy.TLS = throwawayTLS(ca)
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that fails is the point
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	d = newDialer(t, Config{URL: "https://" + proxy.Listener.Addr().String(), RootCAs: throwaway.NewCA("another").Pool()})
	resp, err = forwarding(t, d).Get("http://files.example/a")
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrHandshake) {
		t.Errorf("%v; want one about the proxy's certificate", err)
	}
}

func TestForwardingDoesNotWaitForASilentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer(t, Config{URL: "https://proxy.example", Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			return ours, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		_, _, err := d.Forward(ctx, "tcp", "files.example:80")
		if took := time.Since(began); took != time.Minute || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v; want an end after a minute", took, err)
		}
	})
}

// The client of certproxy must not be asked for the credentials of the site's proxy.
func TestA407OfTheProxyIsNotForTheClient(t *testing.T) {
	d := newDialer(t, Config{URL: "http://user:s3cret@proxy.example", Getenv: env("NO_PROXY=direct.example"),
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			_ = theirs.Close()
			return ours, nil
		}})
	for _, c := range []struct {
		status  int
		host    string
		refused bool
	}{
		{407, "files.example", true},
		{407, "direct.example", false}, // the host's own, and nonsense
		{403, "files.example", false},
		{200, "files.example", false},
	} {
		_, forwarding, err := d.Forward(t.Context(), "tcp", c.host+":80")
		if err != nil {
			t.Fatal(err)
		}
		err = forwarding.Refusal(&http.Response{
			StatusCode: c.status, Status: "407 Authenticate!", Header: http.Header{"Proxy-Authenticate": {"Basic"}},
		}, "GET", c.host)
		if (err != nil) != c.refused {
			t.Errorf("%d for %s: %v; want an error: %v", c.status, c.host, err, c.refused)
		}
		if !c.refused {
			continue
		}
		want := "upstream proxy proxy.example:80 answered 407 Authenticate! to GET http://files.example; correct the credentials in the URL in upstream_proxy"
		if e := fails(t, err, ErrRefused, "proxy.example:80"); !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s\nwant %s", e, want)
		}
	}
}
