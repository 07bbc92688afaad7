package watch

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A session is one run of a [Watcher]. All of it belongs to the goroutine of run.
type session struct {
	config Config
	rescan <-chan struct{}
	out    chan<- Change

	tree     *tree
	debounce *debounce
	periodic *time.Timer

	// What is watched already and not told yet, because Changed still runs.
	untold changes
	next   Change // untold, as it will be told
}

func newSession(w *Watcher, out chan<- Change) *session {
	s := &session{
		config:   w.config,
		rescan:   w.rescan,
		out:      out,
		debounce: newDebounce(w.config.Quiet, w.config.Longest),
		periodic: time.NewTimer(w.config.Rescan),
	}
	s.tree = newTree(w, s.debounce.add)
	return s
}

func (s *session) run(ctx context.Context) {
	defer s.tree.close()
	defer s.periodic.Stop()
	s.flush(everything())
	for ctx.Err() == nil { // select would choose at random between the end and a report
		var out chan<- Change
		if !s.untold.empty() {
			out = s.out
		}
		n := s.tree.notifier
		select {
		case <-ctx.Done():
			return
		case e, ok := <-n.events:
			s.event(e, ok)
		case <-n.overflow:
			s.debounce.add(everything())
		case err := <-n.errors:
			s.failed(err)
		case <-s.debounce.due():
			s.flush(s.debounce.take())
		case <-s.periodic.C:
			s.flush(everything())
		case <-s.rescan:
			s.flush(everything())
		case out <- s.next:
			s.untold, s.next = changes{}, Change{}
		}
	}
}

func (s *session) event(e fsnotify.Event, ok bool) {
	if !ok {
		s.tree.notifier.events = nil // a closed channel would spin
		s.startAgain()
		return
	}
	s.debounce.add(s.tree.event(e))
}

// startAgain replaces a broken notifier.
func (s *session) startAgain() {
	s.tree.reopen = true
	s.debounce.add(everything())
}

func (s *session) failed(err error) {
	if errors.Is(err, syscall.EINVAL) {
		return // a directory was moved and then removed: its watch had ended before fsnotify ended it
	}
	s.tree.warnOnce(err.Error(), fmt.Errorf("watch: %w; starting again", err))
	s.startAgain()
}

// flush looks at what changed again, which puts the watches in place, then has it told.
func (s *session) flush(c changes) {
	if c.all {
		s.debounce.take() // said by this
	}
	before := s.tree.interval()
	s.tree.sync(c)
	s.untold.merge(c)
	s.next = s.untold.change()
	if every := s.tree.interval(); c.all || every != before {
		s.periodic.Reset(every)
	}
}
