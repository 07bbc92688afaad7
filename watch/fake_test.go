package watch

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/fsnotify/fsnotify"
)

// A fake is a running watcher of a real root whose notifier is the test's. It lives
// in a bubble of testing/synctest, as its events are made, not awaited.
type fake struct {
	root     string
	watcher  *Watcher
	changes  chan Change
	warnings []string
	opened   int
	openErr  atomic.Pointer[error] // what opening the notifier returns
	events   chan fsnotify.Event
	overflow chan struct{}
	errors   chan error
}

func newFake(t *testing.T, options ...func(*fake)) *fake {
	t.Helper()
	f := &fake{
		root: t.TempDir(), changes: make(chan Change),
		events: make(chan fsnotify.Event), overflow: make(chan struct{}), errors: make(chan error),
	}
	root, err := filepath.EvalSymlinks(f.root)
	if err != nil {
		t.Fatal(err)
	}
	f.root = root
	ctx, cancel := context.WithCancel(context.Background())
	f.watcher, err = New(Config{
		Roots: []string{root},
		Changed: func(c Change) {
			select {
			case f.changes <- c:
			case <-ctx.Done():
			}
		},
		Warn: func(err error) { f.warnings = append(f.warnings, err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.watcher.open = f.open
	for _, option := range options {
		option(f)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.watcher.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want the cause of the context's end", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return f
}

func (f *fake) open() (*notifier, error) {
	if err := f.openErr.Load(); err != nil {
		return nil, *err
	}
	f.opened++
	return &notifier{
		add:    func(string) error { return nil },
		remove: func(string) error { return nil },
		close:  func() {},
		events: f.events, overflow: f.overflow, errors: f.errors,
	}, nil
}

// event tells that a host directory was made.
func (f *fake) event(host string) {
	f.events <- fsnotify.Event{Name: f.root + host, Op: fsnotify.Create}
}

func (f *fake) hosts(names ...string) (c Change) {
	for _, name := range names {
		c.Dirs = append(c.Dirs, f.root+name)
	}
	return c
}
