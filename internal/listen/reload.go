package listen

import (
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often, at most, handshakes look at the files.
const checkEvery = time.Second

// A reloader hands the current certificates to handshakes. The handshake that comes first
// after a second reads the files, the others never wait for it.
//
// It reads them rather than asking for their times: a time says nothing of what was written in the
// same tick of the clock, of a link in the path that was turned, or of a copy
// that keeps the time of what it was made from. And a pair is taken only when it is a pair, so
// that the order in which its two files are replaced does not matter.
type reloader struct {
	files   Certificates
	current atomic.Pointer[loaded]

	checking sync.Mutex
	checked  time.Time
	warned   map[string]bool // since the files were last good
}

// newReloader returns a reloader of files that were read at the time now.
func newReloader(files Certificates, first *loaded, now time.Time) *reloader {
	r := &reloader{files: files, checked: now, warned: make(map[string]bool)}
	r.current.Store(first)
	return r
}

// config returns a config that asks for each handshake.
func (r *reloader) config(now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return r.at(now()), nil
		},
	}
}

// at returns the config to use at a time.
func (r *reloader) at(now time.Time) *tls.Config {
	if r.checking.TryLock() {
		defer r.checking.Unlock()
		// A clock that was set back must not put the next look off until it is there again.
		if since := now.Sub(r.checked); since >= checkEvery || since < 0 {
			r.checked = now
			r.check(now)
		}
	}
	return r.current.Load().config
}

func (r *reloader) check(now time.Time) {
	found, err := r.files.load(now)
	current := r.current.Load()
	switch {
	case err != nil && found != nil && found.sum == current.sum:
		// What is in use has expired meanwhile, and there is nothing newer.
		r.warn(err)
	case err != nil:
		r.warn(fmt.Errorf("%w; what was read before stays in use", err))
	case found.sum == current.sum:
		clear(r.warned)
	default:
		clear(r.warned)
		r.current.Store(found)
		if r.files.Reloaded != nil {
			r.files.Reloaded()
		}
	}
}

// maxWarned bounds what is remembered; files that are broken in more ways are told of again.
const maxWarned = 100

func (r *reloader) warn(err error) {
	if r.warned[err.Error()] {
		return
	}
	if len(r.warned) >= maxWarned {
		clear(r.warned)
	}
	r.warned[err.Error()] = true
	if r.files.Warn != nil {
		r.files.Warn(err)
	}
}
