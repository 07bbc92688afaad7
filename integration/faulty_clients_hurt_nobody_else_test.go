package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// Clients that say what they have to say a byte at a time, or stop in the middle of it,
// are let go when their time is over: 100 of each kind at once. Requests of others are
// answered as if they were not there.
func TestSlowClientsAreLetGo(t *testing.T) {
	f := newFaultField(t, "")
	host := f.faulty.Host()
	plain := &tls.Config{RootCAs: f.proxy.Roots(t), NextProtos: []string{"http/1.1"}}
	dial := func() (net.Conn, error) { return f.proxy.Dial() }
	connect := func() (net.Conn, error) { return f.proxy.Connect(host) }
	secure := func() (net.Conn, error) { return f.proxy.Secure(host, plain) }
	second := func() (net.Conn, error) {
		h2, err := f.proxy.Frames(host, plain)
		if err != nil {
			return nil, err
		}
		return h2.Conn, nil
	}
	request := "GET /1/10 HTTP/1.1\r\nHost: " + host + "\r\nX-Long: " + strings.Repeat("x", 5000)
	hello := clientHello(t, faultyName)
	before := f.proxy.Holds(t)
	for _, c := range []struct {
		name   string
		open   func() (net.Conn, error)
		drip   string // a byte of it each 50 ms
		within time.Duration
	}{
		{"silent before CONNECT", dial, "", time.Second},
		{"CONNECT", dial, "CONNECT " + host + " HTTP/1.1\r\nX-Long: " + strings.Repeat("x", 500), time.Second},
		{"silent before TLS", connect, "", 2 * time.Second},
		{"TLS", connect, hello, 2 * time.Second},
		{"silent before a request", secure, "", time.Second},
		{"a request's header", secure, request, time.Second},
		{"a frame of HTTP/2", second, "\x00\x10\x00\x01\x04\x00\x00\x00\x01" + strings.Repeat("\x82", 4000), 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var longest atomic.Int64
			f.vigil.During(t, func() {
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() {
						conn, err := c.open()
						if err != nil {
							t.Error(err)
							return
						}
						defer conn.Close()
						began := time.Now()
						go drip(conn, c.drip)
						if raw, ok := conn.(*tls.Conn); ok {
							conn = raw.NetConn() // what closes the connection may be nothing TLS has a word for
						}
						if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
							t.Errorf("still open: %v", err)
						}
						longest.Store(max(longest.Load(), int64(time.Since(began))))
					})
				}
				all.Wait()
			})
			took := time.Duration(longest.Load())
			t.Logf("let go after %v at most; their time is %v", took.Round(time.Millisecond), c.within)
			if took > c.within+2*time.Second {
				t.Errorf("let go after %v; their time is %v", took, c.within)
			}
		})
	}
	f.proxy.Settles(t, before)
}

// drip sends a byte of it each 50 ms, as long as somebody takes it.
func drip(c net.Conn, what string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := range len(what) {
		<-tick.C
		if _, err := c.Write([]byte{what[i]}); err != nil {
			return
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // as the connection gives it
	return ok && timeout.Timeout()
}

// clientHello returns the bytes with which a client of TLS begins.
func clientHello(t *testing.T, name string) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, &tls.Config{ServerName: name}).Handshake() // nobody answers
		theirs.Close()
	}()
	ours.SetDeadline(time.Now().Add(rig.Patience))
	header := make([]byte, 5)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return string(header) + string(body)
}

// Not parallel: it looks at the clock.
//
// Clients that know HTTP/2 too well: each kind floods over four connections, a second or
// until its connection is ended. certproxy takes no memory worth mention for it.
func TestFloodsOfHTTP2AreEnded(t *testing.T) {
	f := newFaultField(t, "")
	host := f.faulty.Host()
	conf := &tls.Config{RootCAs: f.proxy.Roots(t)}
	before := f.proxy.Holds(t)
	for _, c := range []struct {
		name     string
		settings []http2.Setting
		flood    func(h2 *rig.Frames, n uint32) error // the nth frame, or few
		burst    uint32                               // of frames at once; the machine is shared with those that are watched
		ended    bool                                 // certproxy has to end it
	}{
		{name: "rapid reset (CVE-2023-44487)", burst: 8, flood: func(h2 *rig.Frames, n uint32) error {
			if err := h2.Get(2*n+1, "/1/10"); err != nil {
				return err
			}
			return h2.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
		}},
		{name: "CONTINUATION without end", burst: 16, ended: true, flood: func(h2 *rig.Frames, n uint32) error {
			fields := h2.Fields("/1/10", hpack.HeaderField{Name: "x-flood", Value: strings.Repeat("x", 8000)})
			if n == 0 {
				return h2.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields})
			}
			var more bytes.Buffer
			_ = hpack.NewEncoder(&more).WriteField(hpack.HeaderField{Name: fmt.Sprint("x-", n), Value: strings.Repeat("x", 8000)}) // to memory
			return h2.WriteContinuation(1, false, more.Bytes())
		}},
		{name: "CONTINUATION of nothing", burst: 16, ended: true, flood: func(h2 *rig.Frames, n uint32) error {
			if n == 0 {
				return h2.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h2.Fields("/1/10")})
			}
			return h2.WriteContinuation(1, false, nil)
		}},
		{name: "SETTINGS, answers unread", burst: 32, flood: func(h2 *rig.Frames, n uint32) error {
			return h2.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: n % 65535})
		}},
		{name: "PING, answers unread", burst: 32, flood: func(h2 *rig.Frames, n uint32) error {
			return h2.WritePing(false, [8]byte{byte(n), byte(n >> 8)})
		}},
		{name: "DATA of nothing", burst: 32, flood: func(h2 *rig.Frames, n uint32) error {
			if n == 0 {
				return h2.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Replace(h2.Fields("/1/10"), []byte("\x82"), []byte("\x83"), 1), EndHeaders: true})
			}
			return h2.WriteData(1, false, nil)
		}},
		{name: "PRIORITY", burst: 32, flood: func(h2 *rig.Frames, n uint32) error {
			return h2.WritePriority(2*n+1, http2.PriorityParam{StreamDep: 2*n + 3, Weight: byte(n)})
		}},
		{name: "windows of zero", burst: 1, settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
			flood: func(h2 *rig.Frames, n uint32) error {
				if n < 50 {
					return h2.Get(2*n+1, "/1/200000")
				}
				return h2.WritePing(false, [8]byte{})
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var frames, ended atomic.Int64
			var holding rig.Holding
			f.vigil.During(t, func() {
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						h2, err := f.proxy.Frames(host, conf, c.settings...)
						if err != nil {
							t.Error(err)
							return
						}
						defer h2.Conn.Close()
						h2.Within(time.Second)
						if c.ended {
							h2.Within(5 * time.Second)
						}
						for n := range uint32(1 << 20) {
							if err := c.flood(h2, n); err != nil {
								if !isTimeout(err) {
									ended.Add(1)
								}
								return
							}
							frames.Add(1)
							if n%c.burst == 0 {
								<-time.After(time.Millisecond)
							}
						}
					})
				}
				all.Wait()
				holding = f.proxy.Holds(t)
			})
			t.Logf("%d frames or pairs of them; certproxy ended %d of 4 connections, and held %v", frames.Load(), ended.Load(), holding)
			if c.ended && ended.Load() < 4 {
				t.Errorf("certproxy ended %d of 4 connections", ended.Load())
			}
			if most := before.Resident + 64<<20; holding.Resident > most && !raceDetected(t) {
				t.Errorf("certproxy holds %v; want at most %d bytes", holding, most)
			}
		})
	}
	f.proxy.Settles(t, before)
}

// Not parallel: it looks at the clock.
//
// 10,000 connections are opened and closed, half of them with a reset.
func TestTenThousandConnectionsComeAndGo(t *testing.T) {
	f := newFaultField(t, "")
	before := f.proxy.Holds(t)
	f.vigil.During(t, func() {
		var refused atomic.Int64
		inParallel(10_000, func(i int) {
			c, err := f.proxy.Dial()
			if err != nil {
				refused.Add(1)
				return
			}
			defer c.Close()
			if i%2 == 0 {
				_ = c.(*net.TCPConn).SetLinger(0)
			}
			if i%3 == 0 {
				_, _ = io.WriteString(c, "CONNECT ") // nobody has to read it
			}
		})
		if refused.Load() > 0 {
			t.Errorf("%d were refused", refused.Load())
		}
	})
	f.proxy.Settles(t, before)
}
