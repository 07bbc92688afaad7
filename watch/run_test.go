package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	changed := func(Change) {}
	for want, c := range map[string]Config{
		"no root":                  {Changed: changed},
		"Changed is nil":           {Roots: []string{"/a"}},
		`"a" is not an absolute`:   {Roots: []string{"/b", "a"}, Changed: changed},
		"a duration is negative":   {Roots: []string{"/a"}, Changed: changed, Rescan: -1},
		"(1s) is shorter than Qui": {Roots: []string{"/a"}, Changed: changed, Quiet: time.Minute, Longest: time.Second},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, want an error that says %q", c, err, want)
		}
	}
}

func TestNewSetsDefaults(t *testing.T) {
	w, err := New(Config{Roots: []string{"/a/", "/a", "/b/../c"}, Changed: func(Change) {}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.config.Roots, []string{"/a", "/c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Roots = %q, want %q", got, want)
	}
	got := []time.Duration{w.config.Quiet, w.config.Longest, w.config.Rescan}
	if want := []time.Duration{100 * time.Millisecond, time.Second, time.Minute}; !reflect.DeepEqual(got, want) {
		t.Errorf("Quiet, Longest, Rescan = %v, want %v", got, want)
	}
}

func TestSlowChangedMissesNothing(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	r.start()
	r.write("certs.d/reg/client.cert", "1")
	for i := range 100 {
		r.write(fmt.Sprintf("certs.d/reg%d/client.cert", i), "1")
	}
	r.wantsTruth() // only now somebody receives what Changed sends
	if got, want := len(r.files), 101; got != want {
		t.Errorf("read %d files, want %d", got, want)
	}
}

// What comes while Changed runs is one more call, however much it is.
func TestSlowChangedIsToldOnceOfAllThatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		<-f.changes
		f.event("/reg0")
		<-time.After(time.Second) // Changed is called, and waits
		for i := range 30 {
			f.event(fmt.Sprintf("/reg%d", 1+i%3))
			<-time.After(time.Second)
		}
		if got, want := <-f.changes, f.hosts("/reg0"); !reflect.DeepEqual(got, want) {
			t.Errorf("told first of %v, want %v", got, want)
		}
		if got, want := <-f.changes, f.hosts("/reg1", "/reg2", "/reg3"); !reflect.DeepEqual(got, want) {
			t.Errorf("told then of %v, want %v", got, want)
		}
	})
}

func TestRescanReportsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		<-f.changes
		start := time.Now()
		f.watcher.Rescan()
		if c := <-f.changes; !c.All || time.Since(start) != 0 {
			t.Errorf("told of %v after %v, want all at once", c, time.Since(start))
		}
	})
}

func TestRescanNeverBlocks(t *testing.T) {
	w, err := New(Config{Roots: []string{t.TempDir()}, Changed: func(Change) {}})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		w.Rescan() // nobody runs
	}
}

// A mount makes no event: see also mount_test.go.
func TestRescanFindsWhatMadeNoEvent(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.watcher.open = func() (*notifier, error) {
		n, err := openNotifier()
		n.events = nil
		return n, err
	}
	r.start()
	r.write("certs.d/reg/client.cert", "2")
	r.watcher.Rescan()
	r.wants("certs.d/reg/client.cert", "2")
}

func TestAllIsReportedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		<-f.changes
		start := time.Now()
		for i := range 10 {
			c := <-f.changes
			if want := time.Duration(i+1) * time.Minute; !c.All || time.Since(start) != want {
				t.Errorf("told of %v after %v, want all after %v", c, time.Since(start), want)
			}
		}
	})
}

func TestChangedAndWarnAreNotCalledOnceRunReturned(t *testing.T) {
	for range 50 {
		r := newRig(t)
		r.write("certs.d/reg/client.cert", "1")
		returned := false // the race detector sees a call after Run
		ctx, cancel := context.WithCancel(context.Background())
		r.watcher.config.Changed = func(Change) {
			if returned {
				t.Error("Changed is called after Run returned")
			}
			cancel()
		}
		if err := r.watcher.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
		returned = true
	}
}

func TestRunAgainAfterItReturned(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.watcher.Run(ctx)
	r.start()
	r.write("certs.d/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
}

func TestNoDescriptorIsLeft(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	before := descriptors(t)
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		r.watcher.config.Changed = func(Change) { cancel() }
		_ = r.watcher.Run(ctx)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestNoWatchIsLeftOfWhatIsGone(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	var watched sync.Map
	r.watcher.open = func() (*notifier, error) {
		n, err := openNotifier()
		add, remove := n.add, n.remove
		n.add = func(dir string) error { watched.Store(dir, true); return add(dir) }
		n.remove = func(dir string) error { watched.Delete(dir); return remove(dir) }
		return n, err
	}
	list := func() (dirs []string) {
		watched.Range(func(dir, _ any) bool { dirs = append(dirs, dir.(string)); return true })
		return dirs
	}
	r.start()
	before := len(list())
	r.write("outside/a/b/client.cert", "1")
	r.ln("../../outside/a/b/client.cert", "certs.d/linked/client.cert")
	r.ln("../outside", "certs.d/host")
	r.wants("certs.d/linked/client.cert", "1")
	if during := len(list()); during <= before {
		t.Errorf("%d directories are watched, want more than the %d before", during, before)
	}
	r.rm("certs.d/linked")
	r.wants("certs.d/linked/client.cert", "")
	r.rm("certs.d/host")
	r.next()
	if after := len(list()); after != before {
		t.Errorf("%d directories are watched, want %d as before: %q", after, before, list())
	}
}
