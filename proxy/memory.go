package proxy

import (
	"net/http"
	"path"
	"slices"
	"sync"
	"time"
)

// maxPlaces bounds the memory of a host: methods and path directories come from
// requests.
const maxPlaces = 1024

// A memory remembers which pairs of a host were not accepted, so that the steady
// state costs one attempt.
//
// A pair that the server rejected with a TLS alert is skipped, for that is about
// the certificate alone. A pair that failed by status is only moved behind the one
// that succeeded, and only for the same method and directory: two pairs may each
// unlock a part of a host.
type memory struct {
	lasts time.Duration // how long an outcome counts; zero remembers nothing

	mu       sync.Mutex
	rejected map[*identity]time.Time
	winners  map[place]winner
}

// A place is where a status was seen: registries give pull and push, and each
// repository, their own.
type place struct{ method, dir string }

type winner struct {
	identity *identity
	losers   []*identity
	at       time.Time
}

func newMemory(lasts time.Duration) *memory {
	m := &memory{lasts: lasts}
	m.forget()
	return m
}

// forget empties the memory.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejected, m.winners = map[*identity]time.Time{}, map[place]winner{}
}

func placeOf(req *http.Request) place { return place{req.Method, path.Dir(req.URL.Path)} }

// order returns the identities to try for a request, most promising first, and
// those to skip.
func (m *memory) order(all []*identity, req *http.Request, now time.Time) (queue, skipped []*identity) {
	if len(all) == 1 {
		return all, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range all {
		if at, ok := m.rejected[id]; ok && now.Sub(at) < m.lasts {
			skipped = append(skipped, id)
		} else {
			queue = append(queue, id)
		}
	}
	if len(queue) == 0 {
		return all, nil
	}
	return m.demote(queue, req, now), skipped
}

// demote moves pairs that lately failed by status behind the one that succeeded.
func (m *memory) demote(out []*identity, req *http.Request, now time.Time) []*identity {
	w, ok := m.winners[placeOf(req)]
	if !ok || now.Sub(w.at) >= m.lasts {
		return out
	}
	i := slices.Index(out, w.identity)
	if i < 0 {
		return out
	}
	// The losers go right behind the winner; the others keep their order.
	ahead := slices.DeleteFunc(slices.Clone(out[:i]), func(id *identity) bool { return slices.Contains(w.losers, id) })
	behind := slices.DeleteFunc(slices.Clone(out[:i]), func(id *identity) bool { return !slices.Contains(w.losers, id) })
	return slices.Concat(ahead, out[i:i+1], behind, out[i+1:])
}

// learn notes an attempt. A pair that got through TLS is not rejected any more.
func (m *memory) learn(id *identity, o outcome, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.verdict == rejected {
		m.rejected[id] = now
	} else if o.resp != nil {
		delete(m.rejected, id)
	}
}

// succeeded notes which pairs failed by status before the last of tried succeeded.
func (m *memory) succeeded(tried []outcome, req *http.Request, now time.Time) {
	var losers []*identity
	for _, o := range tried[:len(tried)-1] {
		if o.verdict == refused {
			losers = append(losers, o.identity)
		}
	}
	if len(losers) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.winners) >= maxPlaces {
		for p, w := range m.winners {
			if now.Sub(w.at) >= m.lasts {
				delete(m.winners, p)
			}
		}
		if len(m.winners) >= maxPlaces {
			clear(m.winners)
		}
	}
	m.winners[placeOf(req)] = winner{identity: tried[len(tried)-1].identity, losers: losers, at: now}
}
