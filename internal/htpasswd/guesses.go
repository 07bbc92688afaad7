package htpasswd

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How fast one may guess. A user's bucket is far larger than a client's: no single
// client can empty it, and so lock the user out from everywhere else.
const (
	perClient     = 5
	perUser       = 20 * perClient
	refill        = 2 * time.Second // a guess of one client
	maxRemembered = 8192
)

// guesses counts them: a token bucket for each client and each user, the least recently
// used forgotten. It is not golang.org/x/time/rate, which cannot give a token back
// at once, as has to be done for a password that was right.
type guesses struct {
	mu      sync.Mutex
	buckets *lru.Cache[string, bucket]
}

type bucket struct {
	used float64 // tokens
	at   time.Time
}

func newGuesses() (*guesses, error) {
	buckets, err := lru.New[string, bucket](maxRemembered)
	return &guesses{buckets: buckets}, err
}

// take takes n tokens, 0 only to ask, and returns how long to wait where there are none.
func (g *guesses) take(client, user string, n float64) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	wait := max(g.wait("c "+client, perClient, refill, now), g.wait("u "+user, perUser, refill*perClient/perUser, now))
	if wait == 0 && n > 0 {
		g.add("c "+client, n, refill, now)
		g.add("u "+user, n, refill*perClient/perUser, now)
	}
	return wait
}

// giveBack gives the token back of a password that was right.
func (g *guesses) giveBack(client, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.add("c "+client, -1, refill, now)
	g.add("u "+user, -1, refill*perClient/perUser, now)
}

func (g *guesses) used(key string, each time.Duration, now time.Time) float64 {
	b, _ := g.buckets.Get(key)
	return max(0, b.used-float64(now.Sub(b.at))/float64(each))
}

func (g *guesses) wait(key string, size float64, each time.Duration, now time.Time) time.Duration {
	return max(0, time.Duration((g.used(key, each, now)+1-size)*float64(each)))
}

func (g *guesses) add(key string, n float64, each time.Duration, now time.Time) {
	g.buckets.Add(key, bucket{used: max(0, g.used(key, each, now)+n), at: now})
}
