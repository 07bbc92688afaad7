package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A writer may have failed before the answer is waited for at all. The host gets its
// time to say why, and not for ever.
func TestAWriterThatFailedAtOnceLeavesNoWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, host := net.Pipe()
		defer func() { _ = host.Close() }()
		go func() { _, _ = io.Copy(io.Discard, host) }() // a host that never answers
		broken := errors.New("the client went")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://registry.example/", iotest.ErrReader(broken))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 10
		conn := newPlainConn(&identity{dialer: &dialer{buffers: &wireBuffers{}}}, ours, nil)
		s := newSending(conn, req, newReplay(req, nil, 0, "").reader(false), time.Hour)
		s.write()
		began, ended := time.Now(), make(chan error, 1)
		go func() {
			_, err := s.readAnswer()
			ended <- err
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, broken) || time.Since(began) > lateAlert {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		case <-time.After(time.Hour):
			t.Error("it waits on")
		}
		conn.kill()
	})
}
