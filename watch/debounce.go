package watch

import "time"

// A debounce holds changes back until nothing was added for a quiet time, but never
// longer than a longest time after the first: writing a certificate and its key is
// one change, and a directory that is written all the time is still reported.
type debounce struct {
	quiet, longest time.Duration
	timer          *time.Timer // fires when the changes are due
	first          time.Time   // when the first of them came
	held           changes
}

func newDebounce(quiet, longest time.Duration) *debounce {
	timer := time.NewTimer(longest)
	timer.Stop()
	return &debounce{quiet: quiet, longest: longest, timer: timer}
}

// due fires when the changes are to be taken.
func (d *debounce) due() <-chan time.Time { return d.timer.C }

func (d *debounce) add(c changes) {
	if c.empty() {
		return
	}
	if d.held.empty() {
		d.first = time.Now()
	}
	d.held.merge(c)
	d.timer.Reset(max(0, min(d.quiet, d.longest-time.Since(d.first))))
}

// take returns what is held, and holds nothing.
func (d *debounce) take() changes {
	d.timer.Stop()
	c := d.held
	d.held = changes{}
	return c
}
