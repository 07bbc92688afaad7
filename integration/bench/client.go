package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A client has at most one connection.
type client struct {
	url       string
	http2     bool
	transport *http.Transport
}

func (w way) client(http2 bool) *client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &client{url: w.url, http2: http2, transport: &http.Transport{
		Proxy: http.ProxyURL(w.proxy),
		TLSClientConfig: &tls.Config{
			RootCAs:      w.roots,
			Certificates: w.pair,
			// What Debian's OpenSSL knows too: with ML-KEM the proxies written in Go
			// would do more for each connection than the others.
			CurvePreferences: []tls.CurveID{tls.X25519},
		},
		Protocols:          protocols,
		DisableCompression: true,
		ReadBufferSize:     64 << 10,
		WriteBufferSize:    64 << 10,
	}}
}

func (w way) clients(n int, http2 bool) []*client {
	all := make([]*client, n)
	for i := range all {
		all[i] = w.client(http2)
	}
	return all
}

func (c *client) close() { c.transport.CloseIdleConnections() }

func closeAll(clients []*client) {
	for _, c := range clients {
		c.close()
	}
}

// get reads all of the path, which must have so many bytes.
func (c *client) get(ctx context.Context, path string, size int64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return err
	}
	return c.do(request, size)
}

// put sends so many bytes, and the origin must have got as many.
func (c *client) put(ctx context.Context, size int64) error {
	body := io.LimitReader(zeros{}, size)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s%s?%d", c.url, up, size), body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	return c.do(request, 0)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (c *client) do(request *http.Request, want int64) error {
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var said strings.Builder
	var to io.Writer = onlyWriter{io.Discard}
	if answer.StatusCode != http.StatusOK {
		to = &said
	}
	n, err := io.CopyBuffer(to, answer.Body, make([]byte, min(want+1, 256<<10)))
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %.200q", request.Method, request.URL, answer.Status, said.String())
	case n != want:
		return fmt.Errorf("%s %s: %d bytes came, not %d", request.Method, request.URL, n, want)
	case c.http2 != (answer.ProtoMajor == 2):
		return fmt.Errorf("%s %s: answered over %s", request.Method, request.URL, answer.Proto)
	}
	return nil
}

// load has each client repeat one thing, once at least and again until the time is
// over, and returns how long each took. A client that fails stops.
func load(clients []*client, d time.Duration, do func(*client) error) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var running sync.WaitGroup
	end := time.Now().Add(d)
	for _, c := range clients {
		running.Go(func() {
			var took []time.Duration
			var err error
			for began := time.Now(); ; {
				if err = do(c); err != nil {
					break
				}
				now := time.Now()
				took = append(took, now.Sub(began))
				if began = now; !now.Before(end) {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failed = err
			}
		})
	}
	running.Wait()
	return all, failed
}
