package htpasswd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A Store verifies passwords by the file in use. It is safe for concurrent use.
type Store struct {
	path    string
	current atomic.Pointer[File]

	verified *lru.Cache[[sha256.Size]byte, struct{}]
	key      [32]byte // of the cache's HMAC; a dump of the memory shows no plain hash
	guesses  *guesses
	slots    chan struct{} // comparisons at once: a flood of guesses leaves cores for others

	looked atomic.Int64 // when the file was last looked at, Unix nanoseconds
	reload sync.Mutex
	said   string // why the file could not be used, told once; guarded by reload
}

// An Answer is what Verify found.
type Answer struct {
	OK    bool          // the password is the user's
	Retry time.Duration // over 0: it was not looked at, for there were too many wrong ones; when to come again

	// Reload is why a changed file was not taken over. It is told once; the
	// last good one stays in use.
	Reload error
}

// Open loads the file.
func Open(path string) (*Store, error) {
	f, err := Load(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	if _, err := rand.Read(s.key[:]); err != nil {
		return nil, err
	}
	if s.verified, err = lru.New[[sha256.Size]byte, struct{}](1024); err != nil {
		return nil, err
	}
	if s.guesses, err = newGuesses(); err != nil {
		return nil, err
	}
	s.current.Store(f)
	s.looked.Store(time.Now().UnixNano())
	return s, nil
}

// File returns the file in use.
func (s *Store) File() *File { return s.current.Load() }

// Reload reads the file now. When it cannot be used, the last good one stays.
func (s *Store) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	return s.load()
}

func (s *Store) load() error {
	f, err := Load(s.path)
	if err != nil {
		return err
	}
	s.current.Store(f)
	s.said = ""
	return nil
}

// lookAgain reads the file if it has changed, at most once a second. One that is as young as
// the look at it is read again: a second write may have left the same time.
func (s *Store) lookAgain() error {
	now, last := time.Now(), s.looked.Load()
	if now.UnixNano()-last < int64(time.Second) || !s.looked.CompareAndSwap(last, now.UnixNano()) {
		return nil
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	info, err := os.Stat(s.path)
	if err == nil {
		was := s.current.Load().info
		if os.SameFile(was, info) && was.Size() == info.Size() && was.Mode() == info.Mode() &&
			was.ModTime().Equal(info.ModTime()) && now.Sub(info.ModTime()) > 3*time.Second {
			return nil
		}
		err = s.load()
	}
	if err == nil || err.Error() == s.said {
		return nil
	}
	s.said = err.Error()
	return err
}

// Verify reports whether the password is the user's. client is whom to slow down for
// wrong ones: an address, or a user of this machine. The error is the context's, when it
// ended while others were being compared.
func (s *Store) Verify(ctx context.Context, client, user, password string) (a Answer, err error) {
	a.Reload = s.lookAgain()
	f := s.current.Load()
	// The hash is in the key: what was verified with an old one is not found with the new.
	key := s.mac(user, f.hashes[user], password)
	_, there := f.hashes[user]
	if a.OK = there && s.remembers(key); a.OK {
		return a, nil
	}
	if a.Retry = s.guesses.take(client, user, 0); a.Retry > 0 {
		return a, nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return a, ctx.Err()
	}
	// Many connections of one user begin together: the first one compared for all.
	if a.OK = there && s.remembers(key); a.OK {
		return a, nil
	}
	if a.Retry = s.guesses.take(client, user, 1); a.Retry > 0 {
		return a, nil
	}
	if a.OK = f.matches(user, password); a.OK {
		s.guesses.giveBack(client, user)
		s.verified.Add(key, struct{}{})
	}
	return a, nil
}

func (s *Store) remembers(key [sha256.Size]byte) bool {
	_, ok := s.verified.Get(key)
	return ok
}

func (s *Store) mac(user, hash, password string) (out [sha256.Size]byte) {
	m := hmac.New(sha256.New, s.key[:])
	for _, part := range []string{user, hash, password} {
		sum := sha256.Sum256([]byte(part)) // so that no part runs into the next
		m.Write(sum[:])
	}
	m.Sum(out[:0])
	return out
}
