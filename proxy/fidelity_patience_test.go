package proxy

import (
	"net/http"
	"testing"
	"time"
)

// A server that asks a slow token service first is not overtaken by the proxy's own
// impatience: the body of a client that waits stays where it is.
func TestABodyIsNotAskedForWhileTheServerThinks(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		decided := make(chan struct{})
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			hold(t, decided)
			refusing(http.StatusUnauthorized)(rw, req)
		})
		conn, br := w.expecting("Content-Length: 1000000000")
		// That nothing comes cannot be waited for in another way.
		_ = conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
		if b, err := br.Peek(1); !isTimeout(err) {
			t.Errorf("%q came while the server was thinking, %v", b, err)
		}
		_ = conn.SetReadDeadline(deadline())
		close(decided)
		if t.Failed() {
			return
		}
		if got := statuses(t, br); len(got) != 1 || got[0] != http.StatusUnauthorized {
			t.Errorf("it was answered %v", got)
		}
	})
}

// The body is there already when the first pair is refused: the client has sent it.
func TestABodyThatARefusedPairAskedForIsNotAskedForAgain(t *testing.T) {
	r := newRig(t)
	arrived := make(chan arrival, 2)
	host := r.server(func(rw http.ResponseWriter, req *http.Request) {
		receiving(arrived)(rw, req)
		if name(req) == "a" {
			rw.WriteHeader(http.StatusForbidden)
		}
	})
	r.list(host, "a", "b")
	conn, br := (&way{rig: r, host: host}).expecting("Content-Length: 8")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("first came %v, %v", resp, err)
	}
	_, _ = conn.Write([]byte("the body"))
	if got := statuses(t, br); len(got) != 1 || got[0] != 200 {
		t.Errorf("after the first 100 came %v", got)
	}
	for range 2 {
		if got := await(t, "the request", arrived); got.body != "the body" || got.err != nil {
			t.Errorf("the server saw %+v", got)
		}
	}
}
