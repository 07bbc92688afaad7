package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// wantsWarnings fails unless there is one warning for each text, which is in it.
func (f *fake) wantsWarnings(t *testing.T, texts ...string) {
	t.Helper()
	synctest.Wait()
	if len(f.warnings) != len(texts) {
		t.Fatalf("warnings are %q, want %d", f.warnings, len(texts))
	}
	for i, text := range texts {
		if !strings.Contains(f.warnings[i], text) {
			t.Errorf("warning is %q, want it to say %q", f.warnings[i], text)
		}
	}
}

// wantsAllAfter fails unless all is reported next, after this time.
func (f *fake) wantsAllAfter(t *testing.T, want time.Duration) {
	t.Helper()
	start := time.Now()
	if c := <-f.changes; !c.All || time.Since(start) != want {
		t.Errorf("told of %v after %v, want all after %v", c, time.Since(start), want)
	}
}

func TestNoInotifyInstanceIsWarnedOfOnceAndPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(f *fake) { f.fail(fmt.Errorf("couldn't initialize inotify: %w", syscall.EMFILE)) })
		f.wantsAllAfter(t, 0)
		for range 100 {
			f.wantsAllAfter(t, 2*time.Second)
		}
		f.wantsWarnings(t, "too many open files; everything is read again every 2s until it can: raise the sysctl fs.inotify.max_user_instances")

		f.fail(nil) // and it recovers by itself
		f.wantsAllAfter(t, 2*time.Second)
		f.event("/reg")
		if c := <-f.changes; c.All {
			t.Errorf("told of %v, want an event again", c)
		}
		f.wantsAllAfter(t, time.Minute-100*time.Millisecond)
		f.wantsWarnings(t, "max_user_instances")
	})
}

func (f *fake) fail(err error) {
	if err == nil {
		f.openErr.Store(nil)
		return
	}
	f.openErr.Store(&err)
}

func TestNoInotifyWatchIsWarnedOfOnceAndPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		f := newFake(t, func(f *fake) {
			f.watcher.open = func() (*notifier, error) {
				n, err := f.open()
				add := n.add
				n.add = func(dir string) error {
					if full.Load() && strings.Contains(dir, "late") {
						return syscall.ENOSPC
					}
					return add(dir)
				}
				return n, err
			}
		})
		f.wantsAllAfter(t, 0)
		full.Store(true)
		for _, host := range []string{"/late1", "/late2"} {
			if err := os.Mkdir(f.root+host, 0o755); err != nil {
				t.Fatal(err)
			}
			f.event(host)
		}
		if c := <-f.changes; len(c.Dirs) != 2 {
			t.Errorf("told of %v, want the two new host directories", c)
		}
		for range 10 {
			f.wantsAllAfter(t, 2*time.Second)
		}
		f.wantsWarnings(t, "no space left on device; everything is read again every 2s until it can: raise the sysctl fs.inotify.max_user_watches")

		full.Store(false)
		f.wantsAllAfter(t, 2*time.Second)
		f.wantsAllAfter(t, time.Minute)
		f.wantsWarnings(t, "max_user_watches")

		full.Store(true) // a second time is news again
		if err := os.Mkdir(f.root+"/late3", 0o755); err != nil {
			t.Fatal(err)
		}
		f.event("/late3")
		<-f.changes
		f.wantsWarnings(t, "max_user_watches", "late3, and maybe others")
	})
}

func TestDirectoryThatMayNotBeReadIsWarnedOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(f *fake) {
			f.watcher.open = func() (*notifier, error) {
				n, err := f.open()
				add := n.add
				n.add = func(dir string) error {
					if dir == filepath.Dir(f.root) {
						return syscall.EACCES
					}
					return add(dir)
				}
				return n, err
			}
		})
		f.wantsAllAfter(t, 0)
		for range 10 {
			f.wantsAllAfter(t, time.Minute)
		}
		f.wantsWarnings(t, filepath.Dir(f.root)+": permission denied; it is read again every 1m0s: give this process's user read and search permission")
		f.event("/reg") // and the others are watched
		if c := <-f.changes; c.All {
			t.Errorf("told of %v, want the event", c)
		}
	})
}

func TestOverflowReportsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.wantsAllAfter(t, 0)
		f.overflow <- struct{}{}
		f.wantsAllAfter(t, 100*time.Millisecond)
		f.wantsWarnings(t)
	})
}

func TestBrokenNotifierIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.wantsAllAfter(t, 0)
		f.errors <- syscall.EINVAL // of a watch that had ended: nothing
		f.errors <- errors.New("odd")
		f.wantsAllAfter(t, 100*time.Millisecond)
		f.wantsWarnings(t, "watch: odd; starting again")
		broken := f.events
		f.events = make(chan fsnotify.Event)
		close(broken)
		f.wantsAllAfter(t, 100*time.Millisecond)
		if f.opened != 3 {
			t.Errorf("opened the notifier %d times, want 3", f.opened)
		}
	})
}

// The queue of the kernel holds 16384 events, unless fs.inotify.max_queued_events
// says otherwise.
func TestRealOverflowLosesNothing(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.write("certs.d/other/client.cert", "1")
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	r.watcher.disk.readDir = func(dir string) ([]os.DirEntry, error) {
		if hold.CompareAndSwap(true, false) {
			held <- struct{}{}
			<-release
		}
		return os.ReadDir(dir)
	}
	r.start()

	hold.Store(true)
	r.watcher.Rescan()
	<-held // and nobody takes an event
	for i := range 10_000 {
		for _, host := range []string{"reg", "other"} { // in turn, as the kernel merges equal ones
			r.must(os.Chmod(r.path("certs.d/"+host+"/client.cert"), os.FileMode(0o600|i%2)))
		}
	}
	r.mv("certs.d/reg", "old")
	r.write("certs.d/reg/client.cert", "2")
	close(release)
	r.wants("certs.d/reg/client.cert", "2")
	for all := 0; all < 2; { // one for the rescan, one for the overflow
		all = 0
		for _, c := range r.told {
			if c.All {
				all++
			}
		}
		if all < 2 {
			r.next()
		}
	}
	r.write("certs.d/reg/client.cert", "3")
	r.wants("certs.d/reg/client.cert", "3")
}

// fsnotify sends errors with its lock held, which its Add then waits for.
func TestErrorsNeverBlockTheNotifier(t *testing.T) {
	errs, overflow, others := make(chan error), make(chan struct{}, 1), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		drainErrors(errs, overflow, others)
	}()
	for range 100 { // and nobody receives from the others
		errs <- syscall.EINVAL
		errs <- fsnotify.ErrEventOverflow
	}
	close(errs)
	<-done
	<-overflow
	if err := <-others; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("the other error is %v, want %v", err, syscall.EINVAL)
	}
}
