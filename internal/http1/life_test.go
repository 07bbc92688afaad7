package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// piped serves one end of a pipe inside a bubble, whose clock is the test's.
func piped(t *testing.T, handler http.HandlerFunc) (*Server, *client) {
	server, peer := net.Pipe()
	s := newServer(handler)
	s.IdleTimeout = time.Minute
	t.Cleanup(func() {
		_ = peer.Close()
		s.Close()
	})
	s.Go(context.Background(), server)
	return s, &client{t: t, Conn: peer, br: bufio.NewReader(peer)}
}

func TestAClientThatGoesEndsItsRequest(t *testing.T) {
	for what, request := range map[string]string{"GET": get, "POST": post(4) + "body", "chunked": head("Transfer-Encoding: chunked") + "0\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan struct{})
			_, c := piped(t, func(_ http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				<-req.Context().Done()
				close(ended)
			})
			c.send(request)
			synctest.Wait()
			_ = c.Close()
			select {
			case <-ended:
			case <-time.After(watchAfter + time.Millisecond):
				t.Errorf("%s: it goes on", what)
			}
		})
	}
}

func TestAClientThatSendsItsNextRequestHasNotGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var contexts []context.Context
		_, c := piped(t, func(w http.ResponseWriter, req *http.Request) {
			contexts = append(contexts, req.Context())
			select {
			case <-req.Context().Done():
				t.Error("it was ended")
			case <-time.After(time.Second):
			}
			_, _ = io.WriteString(w, req.URL.Path)
		})
		c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
		<-time.After(500 * time.Millisecond) // it is watched by now
		go c.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, want := range []string{"/1", "/2", "/3"} {
			if got := c.read(); got.body != want {
				t.Errorf("%q, want %q", got.body, want)
			}
		}
		synctest.Wait()
		for _, ctx := range contexts {
			if ctx.Err() != nil {
				t.Error("a request's context ended with its answer: the next one's would, too")
			}
		}
	})
}

func TestTheBytesBehindARequestComeWithItsConnection(t *testing.T) {
	for _, early := range []string{"", "e", "early", strings.Repeat("e", 20<<10)} {
		for _, wait := range []time.Duration{0, time.Second} { // before and after it is watched
			synctest.Test(t, func(t *testing.T) {
				got := make(chan string, 1)
				s, c := piped(t, func(w http.ResponseWriter, _ *http.Request) {
					<-time.After(wait)
					conn, rw, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = conn.Close() }()
					b := make([]byte, len(early)+len("late"))
					_, _ = io.ReadFull(rw, b)
					got <- string(b)
				})
				go c.send(get+early, "late")
				if b := <-got; b != early+"late" {
					t.Errorf("after %v and %d bytes: %d bytes %.20q", wait, len(early), len(b), b)
				}
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestAConnectionWaitsForItsNextRequestAsLongAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, func(http.ResponseWriter, *http.Request) {})
		for range 3 {
			c.ask(get)
			<-time.After(59 * time.Second)
		}
		c.ask(get)
		began := time.Now()
		c.closed()
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("it was closed after %v", waited)
		}
	})
}

func TestASlowHeaderIsATimeoutAndSilenceIsNothing(t *testing.T) {
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			_, c := piped(t, func(http.ResponseWriter, *http.Request) {})
			if !first {
				c.ask(get)
			}
			began := time.Now()
			go func() {
				for _, b := range "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 100) {
					c.send(string(b))
					<-time.After(time.Second)
				}
			}()
			if got := c.read(); got.StatusCode != http.StatusRequestTimeout || !got.Close {
				t.Errorf("%s", got.Status)
			}
			if waited := time.Since(began); waited < patience || waited > patience+time.Second {
				t.Errorf("it was refused after %v", waited)
			}
			c.closed()
			_ = c.Close()
			<-time.After(200 * time.Second)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, func(http.ResponseWriter, *http.Request) {})
		began := time.Now()
		c.closed()
		if waited := time.Since(began); waited != patience {
			t.Errorf("a silent connection was closed after %v", waited)
		}
	})
}

func TestAnIdleConnectionHoldsNoBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := piped(t, func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(w, req.Body)
		})
		for _, request := range []string{get, post(4) + "body", sized(20 << 10)} {
			c.ask(request)
			synctest.Wait()
			s.mu.Lock()
			for conn := range s.conns {
				if conn.br != nil || conn.bw != nil || cap(conn.src.ahead) > 1 {
					t.Errorf("behind %.20q it holds a reader %v, a writer %v, and %d bytes", request, conn.br != nil, conn.bw != nil, cap(conn.src.ahead))
				}
			}
			s.mu.Unlock()
		}
	})
}

func TestAShutdownEndsWhatIsIdleAndLetsTheRestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := make(chan struct{})
		s, busyOne := piped(t, func(w http.ResponseWriter, req *http.Request) {
			if req.Method == "POST" {
				<-may
			}
			_, _ = io.WriteString(w, "ok")
		})
		add := func() *client {
			server, peer := net.Pipe()
			s.Go(context.Background(), server)
			return &client{t: t, Conn: peer, br: bufio.NewReader(peer)}
		}
		idleOne, freshOne, silentOne := add(), add(), add()
		idleOne.ask(get)
		busyOne.send(post(0))
		synctest.Wait()
		shut := make(chan error, 1)
		began := time.Now()
		go func() { shut <- s.Shutdown(context.Background()) }()
		synctest.Wait()
		if server, peer := net.Pipe(); s.Go(context.Background(), server) {
			t.Error("a connection was accepted")
		} else {
			_, _ = server.Close(), peer.Close()
		}
		idleOne.closed()
		if waited := time.Since(began); waited > 0 {
			t.Errorf("an idle connection was closed after %v", waited)
		}
		if got := freshOne.ask(get); got.body != "ok" || !got.Close {
			t.Errorf("a fresh one: %q, close %v", got.body, got.Close)
		}
		freshOne.closed()
		silentOne.closed()
		select {
		case err := <-shut:
			t.Fatalf("it ended before the last request: %v", err)
		default:
		}
		close(may)
		if got := busyOne.read(); got.body != "ok" || !got.Close {
			t.Errorf("a busy one: %q, close %v", got.body, got.Close)
		}
		busyOne.closed()
		if err := <-shut; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseReturnsWhenAllHandlersHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := false
		s, c := piped(t, func(_ http.ResponseWriter, req *http.Request) {
			<-req.Context().Done()
			<-time.After(time.Hour)
			returned = true
		})
		c.send(get)
		synctest.Wait()
		s.Close()
		if !returned {
			t.Error("a handler is still at it")
		}
		if err := s.Serve(context.Background(), &failing{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestAServerWithoutDescriptorsTriesMoreAndMoreSlowlyAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failing{conns: make(chan net.Conn, 1)}
		s := newServer(func(http.ResponseWriter, *http.Request) {})
		var pauses []time.Duration
		last := time.Now()
		server, peer := net.Pipe()
		s.Retried = func(error) {
			pauses = append(pauses, time.Since(last))
			last = time.Now()
			if len(pauses) == 15 {
				l.conns <- server
			}
		}
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { done <- s.Serve(ctx, l) }()
		c := &client{t: t, Conn: peer, br: bufio.NewReader(peer)}
		if got := c.ask(get); got.StatusCode != 200 {
			t.Error(got.Status)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if pauses[1] != shortestPause || pauses[14] != longestPause || pauses[3] <= pauses[2] {
			t.Errorf("the pauses were %v", pauses)
		}
		_ = peer.Close()
		s.Close()
	})
}
