package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// A transfer that has begun and does not move any more is ended after stream_idle_timeout,
// whoever has stopped: five of each kind at once. Its client is told by a status, or sees an
// aborted transfer, and never a part for the whole; the log says who has stopped. Requests
// of others are answered as if they were not there, and nothing is left of it.
func TestStalledTransfersAreEnded(t *testing.T) {
	const within = time.Second
	f := newFaultField(t, fmt.Sprintf("stream_idle_timeout: %v\nidle_timeout: 2s\n", within))
	host := f.faulty.Host()
	conf := &tls.Config{RootCAs: f.proxy.Roots(t), NextProtos: []string{"http/1.1"}}
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	half := rig.Fault{Name: "half an answer", Answer: func(d *rig.Deviation) bool {
		_, _ = d.Conn.Write(d.Honest[:len(d.Honest)/2])
		_, _ = io.Copy(io.Discard, d.In) // until the peer ends it
		return false
	}}
	deaf := rig.Fault{Name: "takes no body", Wire: func(c net.Conn) net.Conn { return &deafAfter{Conn: c, left: 64 << 10, over: over} }}
	asks := func(proto int, q rig.Question) func(t *testing.T) string {
		client := f.proxy.Client(t)
		if proto == 2 {
			client = f.proxy.ClientH2(t)
		}
		return func(*testing.T) string {
			r := rig.Ask(client, host, f.faulty.Pair, q)
			if r.Wrong != "" || r.Failed == "" {
				return "wrong: " + r.Wrong
			}
			return r.Failed
		}
	}
	raw := func(request string, read bool) func(t *testing.T) string {
		return func(t *testing.T) string {
			c, err := f.proxy.Secure(host, conf)
			if err != nil {
				return err.Error()
			}
			defer c.Close()
			_, _ = io.WriteString(c, request)
			if !read {
				<-time.After(within + 4*time.Second) // reads nothing
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return "broken off: " + err.Error()
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return fmt.Sprint(resp.StatusCode, " ", err, " ", len(body), " bytes ", string(body[:min(len(body), 100)]))
		}
	}
	frames := func(path string, window uint32, read bool) func(t *testing.T) string {
		return func(t *testing.T) string {
			h2, err := f.proxy.Frames(host, conf, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
			if err != nil {
				return err.Error()
			}
			defer h2.Conn.Close()
			_ = h2.WriteWindowUpdate(0, 1<<30)
			if err := h2.Get(1, path); err != nil {
				return err.Error()
			}
			h2.Within(20 * time.Second)
			if !read {
				<-time.After(within + 12*time.Second) // the grace, twice
			}
			for {
				frame, err := h2.ReadFrame()
				if err != nil {
					return "ended: " + err.Error()
				}
				if reset, ok := frame.(*http2.RSTStreamFrame); ok {
					return "reset: " + reset.ErrCode.String()
				}
			}
		}
	}
	before := f.proxy.Holds(t)
	for _, c := range []struct {
		name   string
		fault  rig.Fault
		do     func(t *testing.T) string
		wants  string // what its client sees
		logs   string // empty where no request stalls, but a connection
		longer time.Duration
	}{
		{name: "the host stops in its answer, HTTP/1.1", fault: half, do: asks(1, rig.Question{Down: 5000}), wants: "broken off", logs: "sent nothing more"},
		{name: "the host stops in its answer, HTTP/2", fault: half, do: asks(2, rig.Question{Down: 5000}), wants: "INTERNAL_ERROR", logs: "sent nothing more"},
		{name: "the host stops taking a body", fault: deaf, do: asks(1, rig.Question{Up: 8 << 20}), wants: "504", logs: "took nothing more"},
		{name: "the client stops reading, HTTP/1.1", do: raw("GET /1/20000000 HTTP/1.1\r\nHost: "+host+"\r\n\r\n", false), wants: "reset by peer", logs: "read nothing more", longer: 4 * time.Second},
		{name: "the client stops reading, a window of zero", do: frames("/1/200000", 0, true), wants: "reset: INTERNAL_ERROR", logs: "read nothing more"},
		{name: "the client stops reading, a short answer and a window of zero", do: frames("/1/10", 0, true), wants: "ended: ", longer: time.Second},
		{name: "the client stops reading its connection, HTTP/2", do: frames("/1/20000000", 1<<30, false), wants: "ended: ", logs: "read nothing more", longer: 12 * time.Second},
		{name: "the client stops in its body, HTTP/1.1", do: raw("PUT /1/10 HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 1000\r\n\r\nhalf", true), wants: "408", logs: "sent nothing more of its body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.faulty.Be(&c.fault)
			f.faulty.Disconnect()
			stalled := len(f.proxy.Lines("request stalled"))
			var longest atomic.Int64
			const many = 5
			f.vigil.During(t, func() {
				var all sync.WaitGroup
				for range many {
					all.Go(func() {
						began := time.Now()
						if got := c.do(t); !strings.Contains(got, c.wants) {
							t.Errorf("its client sees %.200q; want %q", got, c.wants)
						}
						longest.Store(max(longest.Load(), int64(time.Since(began))))
					})
				}
				all.Wait()
			})
			took := time.Duration(longest.Load())
			t.Logf("ended after %v at most; their time is %v", took.Round(time.Millisecond), within)
			if took < within || took > within+c.longer+4*time.Second {
				t.Errorf("ended after %v; their time is %v", took, within)
			}
			if c.logs == "" {
				rig.Eventually(t, "a line about each connection", func() bool { return len(f.proxy.Lines("connection stalled")) == many })
				return
			}
			rig.Eventually(t, "a line about each", func() bool { return len(f.proxy.Lines("request stalled")) >= stalled+many })
			for _, l := range f.proxy.Lines("request stalled")[stalled:] {
				if reason := fmt.Sprint(l["reason"]); !strings.Contains(reason, c.logs) || !strings.Contains(reason, host) || !strings.Contains(fmt.Sprint(l["hint"]), "stream_idle_timeout") {
					t.Errorf("the log says %v; want %q", l, c.logs)
				}
			}
		})
	}
	f.faulty.Be(&rig.Fault{})
	f.faulty.Disconnect()
	if r := rig.Ask(f.proxy.Client(t), host, f.faulty.Pair, rig.Question{Down: 100}); r.Failed+r.Wrong != "" {
		t.Errorf("the host is well again, and its client gets %q", r.Failed+r.Wrong)
	}
	f.proxy.Settles(t, before)
}

// A deafAfter reads so many bytes and no more.
type deafAfter struct {
	net.Conn
	left int
	over <-chan struct{}
}

func (d *deafAfter) Read(b []byte) (int, error) {
	if d.left <= 0 {
		<-d.over
		return 0, io.EOF
	}
	n, err := d.Conn.Read(b[:min(len(b), d.left)])
	d.left -= n
	return n, err
}

// A client that reads slowly, but does, is never ended: what it takes of the kernel's
// buffers is nothing that certproxy's own writes could tell within the time.
func TestASlowReaderIsNotEnded(t *testing.T) {
	t.Parallel()
	s := rig.ServeHonest(t, name)
	certs := rig.Dir(t)
	s.HostDir(certs, s.Host(), s.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Config: "stream_idle_timeout: 1s\n", Level: "info", Names: []string{name}})
	c, err := proxy.Secure(s.Host(), &tls.Config{RootCAs: proxy.Roots(t), NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /1/60000000 HTTP/1.1\r\nHost: "+s.Host()+"\r\n\r\n")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 60 { // some 5 MB in 6 s
		<-tick.C
		if _, err := io.CopyN(io.Discard, c, 80<<10); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(proxy.Lines("request stalled")); n > 0 {
		t.Errorf("it was ended")
	}
}
