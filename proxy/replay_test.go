package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
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

// replayOf returns the replay of a body of unknown length.
func replayOf(t testing.TB, src io.Reader, limit int64) *replay {
	body, ok := src.(io.ReadCloser)
	if !ok {
		body = io.NopCloser(src)
	}
	r := newReplay(&http.Request{Body: body, ContentLength: -1}, nil, limit, t.TempDir())
	t.Cleanup(func() { r.end(func() {}) })
	return r
}

// Any cut of the body, any limit, and any number of attempts that stop anywhere give
// the next one the same bytes, or say that they cannot: never others, never a part
// that looks whole. Memory is small here, so that the file is reached.
func FuzzReplay(f *testing.F) {
	dir := f.TempDir()
	f.Add([]byte("hello, world"), uint8(3), uint8(5), uint8(0), uint16(100), uint8(0))
	f.Add(bytes.Repeat([]byte("x"), 1000), uint8(100), uint8(200), uint8(7), uint16(900), uint8(10))
	f.Add([]byte("0123456789"), uint8(4), uint8(10), uint8(10), uint16(1<<15), uint8(3))
	f.Add([]byte("0123456789"), uint8(1), uint8(9), uint8(9), uint16(9), uint8(8))
	f.Fuzz(func(t *testing.T, body []byte, cut, first, second uint8, limit uint16, memory uint8) {
		src := &chunks{}
		for rest := body; len(rest) > 0; {
			n := min(int(cut)+1, len(rest))
			src.parts = append(src.parts, rest[:n])
			rest = rest[n:]
		}
		r := newReplay(&http.Request{Body: src, ContentLength: -1}, nil, int64(limit), dir)
		r.kept.memory, r.kept.budget = int(memory), new(budget)
		r.kept.budget.left.Store(int64(memory) * int64(cut) / 100)
		defer func() {
			r.end(func() {})
			if left := r.kept.budget.left.Load(); left != int64(memory)*int64(cut)/100 {
				t.Errorf("%d bytes of the memory for all are left; none is in use", left)
			}
		}()
		for _, stop := range []int{int(first), int(second)} {
			got := make([]byte, min(stop, len(body)))
			rd := r.reader(true)
			_, err := io.ReadFull(rd, got)
			_ = rd.Close()
			if r.repeatable() != nil {
				if len(body) <= int(limit) {
					t.Fatalf("%v, with %d of %d bytes", r.repeatable(), len(body), limit)
				}
				if got, err := io.ReadAll(r.reader(true)); err == nil {
					t.Fatalf("after it was lost, an attempt read %d bytes to their end", len(got))
				}
				return
			}
			if err != nil || !bytes.Equal(got, body[:len(got)]) {
				t.Fatalf("an attempt that stops after %d bytes read %q, %v", stop, got, err)
			}
		}
		if got, err := io.ReadAll(r.reader(false)); err != nil || !bytes.Equal(got, body) {
			t.Errorf("the last attempt read %d of %d bytes, %v", len(got), len(body), err)
		}
	})
}

func TestAReplayPastItsLimitIsReadToTheEndOnce(t *testing.T) {
	body := strings.Repeat("x", 2*spoolMemory)
	r := replayOf(t, strings.NewReader(body), 2*spoolMemory-1)
	if got, err := io.ReadAll(r.reader(true)); err != nil || string(got) != body {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if !errors.Is(r.repeatable(), errReplayLimit) {
		t.Errorf("it says that it can be sent again: %v", r.repeatable())
	}
	if _, err := io.ReadAll(r.reader(true)); !errors.Is(err, errReplayLimit) {
		t.Errorf("a second reading ended with %v", err)
	}
}

func TestABodyAnnouncedAsTooLargeIsNotKeptAtAll(t *testing.T) {
	r := newReplay(&http.Request{Body: io.NopCloser(strings.NewReader("12345")), ContentLength: 5}, nil, 4, t.TempDir())
	rd := r.reader(true)
	if _, err := io.ReadFull(rd, make([]byte, 1)); err != nil || r.kept.size != 0 || !errors.Is(r.repeatable(), errReplayLimit) {
		t.Errorf("%d bytes are kept, %v, %v", r.kept.size, r.repeatable(), err)
	}
}

func TestABodyThatNoPairFollowsIsNotKept(t *testing.T) {
	r := replayOf(t, strings.NewReader("body"), 1<<30)
	if got, err := io.ReadAll(r.reader(false)); err != nil || string(got) != "body" || r.kept.size != 0 {
		t.Errorf("%q, %v, %d bytes kept", got, err, r.kept.size)
	}
	if !errors.Is(r.repeatable(), errNotKept) {
		t.Errorf("it says that it can be sent again: %v", r.repeatable())
	}
}

// What does not fit into memory goes into a file that nobody else can find, and that
// is gone with the request.
func TestTheFileOfABodyHasNoName(t *testing.T) {
	body := strings.Repeat("0123456789", spoolMemory/5)
	dir := t.TempDir()
	r := newReplay(&http.Request{Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil, 1<<30, dir)
	for range 3 {
		if got, err := io.ReadAll(r.reader(true)); err != nil || string(got) != body {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	info, err := r.kept.file.Stat()
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(len(body)-spoolMemory) || len(r.kept.mem) != spoolMemory {
		t.Errorf("%v, %v, %d bytes in memory", info, err, len(r.kept.mem))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the directory shows %v, %v", left, err)
	}
	r.end(func() {})
	if r.kept.file != nil || r.kept.mem != nil {
		t.Error("it is kept after the request's end")
	}
}

func TestABodyThatCannotBeWrittenToDiskIsStillSentOnce(t *testing.T) {
	body := strings.Repeat("x", 2*spoolMemory)
	r := newReplay(&http.Request{Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil, 1<<30, filepath.Join(t.TempDir(), "missing"))
	if got, err := io.ReadAll(r.reader(true)); err != nil || string(got) != body {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if err := r.repeatable(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it cannot be sent again because of %v", err)
	}
}

func TestAClientThatBreaksOffItsBodyIsAnErrorForEveryAttempt(t *testing.T) {
	broken := errors.New("client went away")
	r := replayOf(t, &chunks{parts: [][]byte{[]byte("half")}, end: broken}, 1<<30)
	for range 2 {
		if got, err := io.ReadAll(r.reader(true)); !errors.Is(err, broken) || string(got) != "half" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if !errors.Is(r.brokenOff(), broken) {
		t.Errorf("broken off: %v", r.brokenOff())
	}
}

// An attempt that was given up may still wait for the client when the next begins.
func TestBytesThatAnOlderAttemptReadAreNotLost(t *testing.T) {
	pr, pw := io.Pipe()
	r := replayOf(t, pr, 1<<30)
	old := r.reader(true)
	waiting, ended := make(chan struct{}), make(chan error)
	go func() {
		close(waiting)
		_, err := old.Read(make([]byte, 10))
		ended <- err
	}()
	<-waiting
	next := r.reader(false)
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

// The end of a request does not wait for a client that is silent.
func TestTheEndInterruptsAReadThatWaitsForTheClient(t *testing.T) {
	pr, pw := io.Pipe()
	r := replayOf(t, pr, 1<<30)
	rd := r.reader(true)
	ended := make(chan error, 1)
	go func() {
		_, err := rd.Read(make([]byte, 10))
		ended <- err
	}()
	eventually(t, "the read waits", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.pulling
	})
	interrupted := errors.New("interrupted")
	r.end(func() { _ = pw.CloseWithError(interrupted) })
	if err := <-ended; !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("the read ended with %v", err)
	}
}
