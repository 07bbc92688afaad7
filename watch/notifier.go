package watch

import (
	"errors"

	"github.com/fsnotify/fsnotify"
)

// A notifier tells of changes in directories: fsnotify's watcher, or a test's.
type notifier struct {
	add      func(dir string) error // again is fine
	remove   func(dir string) error
	close    func() // waits for its goroutines
	events   <-chan fsnotify.Event
	overflow <-chan struct{} // events were lost
	errors   <-chan error    // other errors, not all of them
}

func openNotifier() (*notifier, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	overflow, others, drained := make(chan struct{}, 1), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(drained)
		drainErrors(w.Errors, overflow, others)
	}()
	return &notifier{
		add: w.Add, remove: w.Remove,
		close: func() {
			// Its error is that of closing a descriptor that is gone either way.
			_ = w.Close()
			<-drained
		},
		events: w.Events, overflow: overflow, errors: others,
	}, nil
}

// drainErrors takes errors from fsnotify without ever blocking it: where a directory
// was moved, it sends with its lock held, and its Add would wait for that lock for ever.
func drainErrors(errs <-chan error, overflow chan<- struct{}, others chan<- error) {
	for err := range errs {
		if errors.Is(err, fsnotify.ErrEventOverflow) {
			select {
			case overflow <- struct{}{}:
			default: // one says it all
			}
			continue
		}
		select {
		case others <- err:
		default:
		}
	}
}
