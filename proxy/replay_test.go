package proxy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// chunks gives a body in the pieces it was cut into.
type chunks struct {
	parts [][]byte
	end   error // after the last; nil is io.EOF
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.parts) == 0 {
		if c.end != nil {
			return 0, c.end
		}
		return 0, io.EOF
	}
	n := copy(p, c.parts[0])
	if c.parts[0] = c.parts[0][n:]; len(c.parts[0]) == 0 {
		c.parts = c.parts[1:]
	}
	return n, nil
}

func (c *chunks) Close() error { return nil }

// Any cut of the body and any number of attempts that stop anywhere give the next
// one the same bytes.
func FuzzReplay(f *testing.F) {
	f.Add([]byte("hello, world"), uint8(3), uint8(5), uint8(0))
	f.Add(bytes.Repeat([]byte("x"), 1000), uint8(100), uint8(255), uint8(7))
	f.Fuzz(func(t *testing.T, body []byte, cut, first, second uint8) {
		src := &chunks{}
		for rest := body; len(rest) > 0; {
			n := min(int(cut)+1, len(rest))
			src.parts = append(src.parts, rest[:n])
			rest = rest[n:]
		}
		r := newReplay(src, true)
		for _, stop := range []int{int(first), int(second)} {
			got := make([]byte, min(stop, len(body)))
			rd := r.reader()
			if _, err := io.ReadFull(rd, got); err != nil || !bytes.Equal(got, body[:len(got)]) {
				t.Fatalf("an attempt that stops after %d bytes read %q, %v", stop, got, err)
			}
			_ = rd.Close()
		}
		if got, err := io.ReadAll(r.reader()); err != nil || !bytes.Equal(got, body) {
			t.Errorf("the last attempt read %q, %v", got, err)
		}
	})
}

func TestAReplayPastItsBoundIsReadToTheEndOnce(t *testing.T) {
	body := strings.Repeat("x", replayMemory+100)
	r := newReplay(io.NopCloser(strings.NewReader(body)), true)
	if got, err := io.ReadAll(r.reader()); err != nil || string(got) != body {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if r.repeatable() {
		t.Error("it says that it can be sent again")
	}
	if _, err := io.ReadAll(r.reader()); err == nil {
		t.Error("a second reading gave a part of the body without an error")
	}
}

func TestAReplayOfASinglePairKeepsNothing(t *testing.T) {
	r := newReplay(io.NopCloser(strings.NewReader("body")), false)
	if got, err := io.ReadAll(r.reader()); err != nil || string(got) != "body" || r.buf != nil {
		t.Errorf("%q, %v, %d bytes kept", got, err, len(r.buf))
	}
}

func TestAClientThatBreaksOffItsBodyIsAnErrorForEveryAttempt(t *testing.T) {
	broken := errors.New("client went away")
	r := newReplay(&chunks{parts: [][]byte{[]byte("half")}, end: broken}, true)
	for range 2 {
		if got, err := io.ReadAll(r.reader()); !errors.Is(err, broken) || string(got) != "half" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// An attempt that was given up may still wait for the client when the next begins.
func TestBytesThatAnOlderAttemptReadAreNotLost(t *testing.T) {
	pr, pw := io.Pipe()
	r := newReplay(pr, true)
	old := r.reader()
	waiting, ended := make(chan struct{}), make(chan error)
	go func() {
		close(waiting)
		_, err := old.Read(make([]byte, 10))
		ended <- err
	}()
	<-waiting
	next := r.reader()
	go func() {
		_, _ = pw.Write([]byte("first"))
		_, _ = pw.Write([]byte("second"))
		_ = pw.Close()
	}()
	got, err := io.ReadAll(next)
	if err != nil || string(got) != "firstsecond" {
		t.Errorf("the next attempt read %q, %v", got, err)
	}
	if err := <-ended; err == nil {
		t.Error("the older attempt was given bytes that it must not send")
	}
}
