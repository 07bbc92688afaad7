package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const stallLimit = time.Minute

// idle returns settings in which no byte may move for d.
func idle(d time.Duration) func(*Config) {
	return func(c *Config) { c.Host = settings(func(s *HostSettings) { s.StreamIdleTimeout = d }) }
}

// eachProto runs a test in a bubble, with a client of HTTP/1.1 and one of HTTP/2.
func eachProto(t *testing.T, test func(b *bubble, proto int), change ...func(*Config)) {
	t.Helper()
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", proto), func(t *testing.T) {
			inBubble(t, func(b *bubble) { test(b, proto) }, change...)
		})
	}
}

// stalled expects one line that says so in these words, and none that says otherwise.
func (b *bubble) stalled(words string) map[string]any {
	b.t.Helper()
	fields := b.logged("request stalled")
	if !strings.Contains(fmt.Sprint(fields["reason"]), words) || !strings.Contains(fmt.Sprint(fields["reason"]), stallLimit.String()) ||
		!strings.Contains(fmt.Sprint(fields["hint"]), "stream_idle_timeout") {
		b.t.Errorf("the log says %q, %q; want %q", fields["reason"], fields["hint"], words)
	}
	if n := b.logs.FilterMessage("request stalled").Len() + b.logs.FilterMessage("request served").Len() + b.logs.FilterMessage("request refused").Len(); n != 1 {
		b.t.Errorf("%d lines about one request", n)
	}
	return fields
}

// on expects that nothing was ended.
func (b *bubble) on(when string) {
	b.t.Helper()
	synctest.Wait()
	if n := b.logs.FilterMessage("request stalled").Len(); n > 0 {
		b.t.Fatalf("%s: it was ended", when)
	}
}

// ends expects that a request is ended once the time has passed since the last byte
// moved, which is now, and not before.
func (b *bubble) ends() {
	b.t.Helper()
	elapse(stallLimit - 2*time.Millisecond)
	b.on("just before the limit")
	elapse(4 * time.Millisecond)
	synctest.Wait()
	if b.logs.FilterMessage("request stalled").Len() != 1 {
		b.t.Errorf("it was not ended at the limit")
	}
}

func TestAHostThatStopsInItsAnswerIsGivenUp(t *testing.T) {
	for name, header := range map[string]string{"chunked": "", "of a length": "1000"} {
		t.Run(name, func(t *testing.T) {
			eachProto(t, func(b *bubble, proto int) {
				more := make(chan string)
				host := b.host("registry.example:443", func(w http.ResponseWriter, req *http.Request) {
					if header != "" {
						w.Header().Set("Content-Length", header)
					}
					for {
						select {
						case piece := <-more:
							say(flusher{w}, piece)
						case <-req.Context().Done():
							return
						}
					}
				})
				go func() { more <- "a piece" }()
				resp, err := b.asker(proto).Do(b.request("GET", "https://"+host+"/", nil))
				if err != nil {
					b.t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				var got bytes.Buffer
				ended := make(chan error, 1)
				go func() {
					_, err := io.Copy(&got, resp.Body)
					ended <- err
				}()
				for range 3 {
					elapse(stallLimit - time.Millisecond)
					more <- "."
					b.on("a byte just before the limit")
				}
				b.ends()
				if err := <-ended; err == nil || got.String() != "a piece..." {
					b.t.Errorf("%q, %v: want an aborted transfer", got.String(), err)
				}
				if f := b.stalled(host + " sent nothing more of its answer"); f["bytes"] != int64(10) || f["host"] != host {
					b.t.Errorf("the log says %v", f)
				}
			}, idle(stallLimit))
		})
	}
}

func TestAClientThatStopsReadingIsLetGo(t *testing.T) {
	eachProto(t, func(b *bubble, proto int) {
		host := b.host("registry.example:443", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(64<<20))
			_, _ = io.CopyN(w, zeros{}, 64<<20)
		})
		resp, err := b.asker(proto).Do(b.request("GET", "https://"+host+"/", nil))
		if err != nil {
			b.t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		got := int64(0)
		for range 3 { // a window of HTTP/2 is some MiB
			elapse(stallLimit - time.Millisecond)
			n, err := io.CopyN(io.Discard, resp.Body, 4<<20)
			if err != nil {
				b.t.Fatal(err)
			}
			got += n
			b.on("something is read just before the limit")
		}
		b.ends()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil || got+n >= 64<<20 {
			b.t.Errorf("%d bytes, %v: want an aborted transfer", got+n, err)
		}
		b.stalled("the client read nothing more of the answer of " + host)
	}, idle(stallLimit))
}

// A short answer is in the server's buffer when the handler returns.
func TestAClientThatReadsNothingAtAllIsLetGo(t *testing.T) {
	inBubble(t, func(b *bubble) {
		host := b.host("registry.example:443", func(w http.ResponseWriter, _ *http.Request) { say(w, "short") })
		conn, _ := b.raw(host)
		say(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		elapse(stallLimit - time.Second)
		if n := b.proxy.Stats().Clients; n != 1 {
			b.t.Errorf("%d clients before the limit", n)
		}
		elapse(2 * time.Second)
		if n := b.proxy.Stats().Clients; n != 0 {
			b.t.Errorf("%d clients after the limit", n)
		}
	}, idle(stallLimit))
}

func TestAClientThatStopsInItsBodyIsAnswered408(t *testing.T) {
	for name, pairs := range map[string][]string{"one pair": {"a"}, "two pairs": {"a", "b"}} {
		t.Run(name, func(t *testing.T) {
			eachProto(t, func(b *bubble, proto int) {
				host := b.host("registry.example:443", func(w http.ResponseWriter, req *http.Request) {
					_, _ = io.Copy(io.Discard, req.Body)
				})
				b.list(host, pairs...)
				say, answered := b.upload(proto, host)
				say("half")
				for range 3 {
					elapse(stallLimit - time.Millisecond)
					say(".")
					b.on("a byte just before the limit")
				}
				elapse(stallLimit - 2*time.Millisecond)
				b.on("just before the limit")
				elapse(4 * time.Millisecond)
				got := <-answered
				if !strings.HasPrefix(got, "408 ") || !strings.Contains(got, "the client sent nothing more of its body") || !strings.Contains(got, "stream_idle_timeout") {
					b.t.Errorf("%q", got)
				}
				if f := b.stalled("the client sent nothing more of its body for " + host); f["bytes_up"] != int64(7) {
					b.t.Errorf("the log says %v", f)
				}
			}, idle(stallLimit))
		})
	}
}

// upload begins a PUT. It returns what sends a piece of the body, and what becomes of it.
func (b *bubble) upload(proto int, host string) (say func(string), answered chan string) {
	answered = make(chan string, 1)
	read := func(resp *http.Response, err error) {
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		answered <- fmt.Sprint(resp.StatusCode, " ", string(body), err)
	}
	if proto == 2 {
		pr, pw := io.Pipe()
		b.done = append(b.done, func() { _ = pw.Close() })
		go func() { read(b.asker(proto).Do(b.request("PUT", "https://"+host+"/", pr))) }()
		return func(piece string) { _, _ = io.WriteString(pw, piece) }, answered
	}
	conn, br := b.raw(host)
	_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		read(http.ReadResponse(br, nil))
		_, _ = io.Copy(io.Discard, br) // until the proxy has taken leave
	}()
	return func(piece string) { _, _ = fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece) }, answered
}

func TestAHostThatStopsTakingABodyIsAnswered504(t *testing.T) {
	for _, kind := range []string{"", "application/grpc"} { // over HTTP/1, and over HTTP/2
		t.Run(kind, func(t *testing.T) {
			eachProto(t, func(b *bubble, proto int) {
				over := make(chan struct{}) // net/http does not see the connection end before the body
				host := b.host("registry.example:443", func(_ http.ResponseWriter, req *http.Request) {
					_, _ = io.CopyN(io.Discard, req.Body, 1<<20)
					elapse(stallLimit - time.Second)
					_, _ = io.CopyN(io.Discard, req.Body, 1<<20)
					<-over
				})
				defer close(over)
				began := time.Now()
				req := b.request("PUT", "https://"+host+"/", io.LimitReader(zeros{}, 64<<20))
				req.Header.Set("Content-Type", kind)
				resp, err := b.asker(proto).Do(req)
				if err != nil {
					b.t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if took := time.Since(began); took < 2*stallLimit-time.Second || took > 2*stallLimit+10*time.Second {
					b.t.Errorf("after %v", took)
				}
				if resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(body), "took nothing more of the request's body") {
					b.t.Errorf("%s: %q", resp.Status, body)
				}
				b.stalled(host + " took nothing more of the request's body")
			}, idle(stallLimit))
		})
	}
}

// As streams of gRPC do: one direction alone moves, for hours, and then none.
func TestAStreamOfWhichOneDirectionMovesIsNotEnded(t *testing.T) {
	for _, up := range []bool{true, false} {
		t.Run(fmt.Sprintf("up: %v", up), func(t *testing.T) {
			eachProto(t, func(b *bubble, proto int) {
				down, arrived := make(chan string), make(chan byte, 100)
				host := b.host("registry.example:443", func(w http.ResponseWriter, req *http.Request) {
					c := http.NewResponseController(w)
					_ = c.EnableFullDuplex()
					_ = c.Flush()
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						one := make([]byte, 1)
						for {
							if _, err := req.Body.Read(one); err != nil {
								return
							}
							arrived <- one[0]
						}
					}()
					defer func() { <-ended }()
					for {
						select {
						case piece := <-down:
							say(flusher{w}, piece)
						case <-ended:
							return
						}
					}
				})
				pr, pw := io.Pipe()
				defer func() { _ = pw.Close() }()
				req := b.request("POST", "https://"+host+"/", pr)
				req.Header.Set("Content-Type", "application/grpc")
				resp, err := b.asker(proto).Do(req)
				if err != nil {
					b.t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				for range 100 {
					elapse(stallLimit - time.Millisecond)
					if up {
						say(pw, ".")
						<-arrived
					} else {
						down <- "."
						if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
							b.t.Fatal(err)
						}
					}
				}
				b.ends()
				if _, err := io.ReadAll(resp.Body); err == nil {
					b.t.Error("it ended as if it was whole")
				}
				b.stalled("neither " + host + " nor the client sent anything more")
			}, idle(stallLimit))
		})
	}
}

// The time that a host takes to think is attempt_timeout's.
func TestAHostThatThinksIsNotStalled(t *testing.T) {
	eachProto(t, func(b *bubble, proto int) {
		host := b.host("registry.example:443", func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			elapse(20 * stallLimit)
			say(w, "done")
		})
		for method, body := range map[string]io.Reader{"GET": nil, "PUT": strings.NewReader("a body")} {
			resp, err := b.asker(proto).Do(b.request(method, "https://"+host+"/", body))
			if err != nil {
				b.t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(got) != "done" || err != nil {
				b.t.Errorf("%s: %s, %q, %v", method, resp.Status, got, err)
			}
		}
		b.on("at the end")
	}, func(c *Config) {
		c.Host = settings(func(s *HostSettings) { s.StreamIdleTimeout, s.AttemptTimeout = stallLimit, 0 })
	})
}

// With 0, for a host alone or for all, a stream may be silent for days; what another host
// has, and what is set while it lasts, does not matter to it.
func TestTheTimeIsEachHostsAndAReloadIsForNewRequests(t *testing.T) {
	var own atomic.Int64 // of never.example
	inBubble(t, func(b *bubble) {
		stream := func(w http.ResponseWriter, req *http.Request) {
			say(flusher{w}, "begun")
			select {
			case <-req.Context().Done():
			case <-time.After(72 * time.Hour):
				say(w, " and ended")
			}
		}
		never, short := b.host("never.example:443", stream), b.host("short.example:443", stream)
		ask := func(host string) chan string {
			said := make(chan string, 1)
			resp, err := b.asker(2).Do(b.request("GET", "https://"+host+"/", nil))
			if err != nil {
				b.t.Fatal(err)
			}
			go func() {
				defer func() { _ = resp.Body.Close() }()
				got, err := io.ReadAll(resp.Body)
				said <- fmt.Sprint(string(got), ", ", err != nil)
			}()
			return said
		}
		first, cut := ask(never), ask(short)
		elapse(stallLimit + time.Second)
		if got := <-cut; got != "begun, true" {
			b.t.Errorf("with a limit: %s", got)
		}
		own.Store(int64(2 * stallLimit))
		b.reload()
		cut = ask(never)
		elapse(stallLimit + time.Second)
		select {
		case got := <-cut:
			b.t.Errorf("before its own limit: %s", got)
		default:
		}
		elapse(stallLimit)
		if got := <-cut; got != "begun, true" {
			b.t.Errorf("with a limit since the reload: %s", got)
		}
		if got := <-first; got != "begun and ended, false" {
			b.t.Errorf("from before the reload: %s", got)
		}
	}, func(c *Config) {
		c.Host = func(authority string) HostSettings {
			s := DefaultHostSettings()
			s.StreamIdleTimeout = stallLimit
			if authority == "never.example:443" {
				s.StreamIdleTimeout = time.Duration(own.Load())
			}
			return s
		}
	})
}

// What is carried for a host without a directory has the same rule.
func TestARequestForAnotherHostIsEndedToo(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.serve("plain.example:80", func(w http.ResponseWriter, req *http.Request) {
			say(flusher{w}, "begun")
			<-req.Context().Done()
		}, false)
		resp, err := b.asker(1).Do(b.request("GET", "http://plain.example/", nil))
		if err != nil {
			b.t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			b.t.Fatal(err)
		}
		b.ends()
		if _, err := io.ReadAll(resp.Body); err == nil {
			b.t.Error("it ended as if it was whole")
		}
		b.stalled("plain.example:80 sent nothing more of its answer")
	}, idle(stallLimit))
}

// An upgraded connection is no transfer: a WebSocket may be silent for as long as both its
// ends are there.
func TestAnUpgradedConnectionIsNotEnded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		host := b.host("registry.example:443", func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				b.t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.CopyN(c, rw, 4)
		})
		conn, br := b.raw(host)
		say(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			b.t.Fatalf("%v, %v", resp, err)
		}
		elapse(72 * time.Hour)
		say(conn, "late")
		got := make([]byte, 4)
		if _, err := io.ReadFull(br, got); err != nil || string(got) != "late" {
			b.t.Errorf("%q, %v", got, err)
		}
		b.on("after three days")
	}, idle(stallLimit))
}

// Whoever meets the line finds it in the page of messages.
func TestWhoStoppedIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for why := hostSending; why <= clientSending; why++ {
		text, hint := (&stall{limit: stallLimit, why: why}).tells("HOST")
		text = strings.ReplaceAll(text, stallLimit.String(), "TIME")
		if !strings.Contains(text, "TIME") || !strings.Contains(string(page), "| `"+text+"` |") {
			t.Errorf("docs/troubleshooting.md has no %q", text)
		}
		if !strings.Contains(hint, "stream_idle_timeout") {
			t.Errorf("%s: the hint is %q", text, hint)
		}
	}
}
