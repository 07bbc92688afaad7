package watch

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func one(dir string) (c changes) {
	c.add(dir)
	return c
}

func TestDebounceWaitsForQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDebounce(100*time.Millisecond, time.Second)
		start := time.Now()
		d.add(one("/b"))
		<-time.After(60 * time.Millisecond)
		d.add(one("/a"))
		d.add(one("/b"))
		<-d.due()
		if waited := time.Since(start); waited != 160*time.Millisecond {
			t.Errorf("due after %v, want 100ms after the latest at 60ms", waited)
		}
		held := d.take()
		if got, want := held.change(), (Change{Dirs: []string{"/a", "/b"}}); !reflect.DeepEqual(got, want) {
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

func TestDebounceWaitsNoLongerThanTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDebounce(100*time.Millisecond, time.Second)
		start := time.Now()
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for due := false; !due; {
			d.add(one("/a"))
			select {
			case <-tick.C:
			case <-d.due():
				due = true
			}
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("due after %v, want 1s", waited)
		}
	})
}

func TestDebounceHoldsNothingOnceTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDebounce(100*time.Millisecond, time.Second)
		d.add(changes{})
		d.add(one("/a"))
		d.take()
		select {
		case <-d.due():
			t.Error("due with nothing held")
		case <-time.After(time.Hour):
		}
		start := time.Now()
		d.add(one("/b"))
		<-d.due()
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("the next is due after %v, want 100ms", waited)
		}
	})
}

func TestAllCoversDirs(t *testing.T) {
	c := one("/a")
	c.merge(everything())
	c.merge(one("/b"))
	if got, want := c.change(), (Change{All: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("merged to %v, want %v", got, want)
	}
}
