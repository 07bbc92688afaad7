package proxy

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"sync/atomic"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// An upstream is a listed host as requests see it: one identity for each pair, in
// order, and what is remembered of them. It belongs to one value of the host; a
// reload that changes the host makes a new one, which takes over the identities
// that are still the same.
type upstream struct {
	host       *certs.Host
	route      *upstreamproxy.Dialer
	scheme     string // https, or http for a host without a directory
	settings   HostSettings
	identities []*identity
	memory     *memory
	noExpect   atomic.Bool // the server answered 417 to an Expect of ours
	hinted     sync.Once   // that it may want renegotiation
}

// upstreams are the hosts in use, by name.
type upstreams struct {
	config  Config
	dialer  *dialer
	buffers *bufferPool
	without unlistedHosts

	mu   sync.RWMutex
	open map[string]*upstream
}

func newUpstreams(config Config, d *dialer) *upstreams {
	return &upstreams{config: config, dialer: d, buffers: &bufferPool{}, open: map[string]*upstream{}}
}

// get returns the upstream of a host. When a newer value of the host is in use
// already, that is the one returned: a request never goes back to an older pair.
func (u *upstreams) get(index Index, h *certs.Host) *upstream {
	u.mu.RLock()
	cur := u.open[h.Name]
	u.mu.RUnlock()
	if cur != nil && cur.host.Generation >= h.Generation {
		return cur
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	// Asked again under the lock that refresh takes: what was removed meanwhile must
	// not be opened for longer than this request.
	now, ok := index.Lookup(h.Name)
	if !ok || now.Action != certs.Intercept {
		last := u.newUpstream(h, nil)
		retire(last.identities, nil)
		return last
	}
	return u.replace(now)
}

// replace makes h the value in use. The caller holds mu.
func (u *upstreams) replace(h *certs.Host) *upstream {
	cur := u.open[h.Name]
	if cur != nil && cur.host.Generation >= h.Generation && cur.settings == u.config.Host(h.Name) && cur.route == u.dialer.route.Load() {
		return cur
	}
	var old []*identity
	if cur != nil {
		old = cur.identities
	}
	next := u.newUpstream(h, old)
	u.open[h.Name] = next
	retire(old, next.identities)
	return next
}

// newUpstream returns the upstream of a host, with those of the old identities that
// are still the same.
func (u *upstreams) newUpstream(h *certs.Host, old []*identity) *upstream {
	settings, route := u.config.Host(h.Name), u.dialer.route.Load()
	return &upstream{host: h, route: route, scheme: "https", settings: settings, memory: newMemory(settings.PairMemory), identities: u.identities(h, settings, route, old)}
}

// identities returns one identity for each pair, or a single one without a
// certificate, and takes those of old that present the same chain under the same
// trust and settings, and by the same way.
func (u *upstreams) identities(h *certs.Host, settings HostSettings, route *upstreamproxy.Dialer, old []*identity) []*identity {
	pairs := h.Pairs
	if len(pairs) == 0 {
		pairs = []*certs.Pair{nil}
	}
	trust := h.TrustID()
	var roots *x509.CertPool
	out := make([]*identity, 0, len(pairs))
next:
	for _, pair := range pairs {
		key := identityKey{trust: trust, settings: settings, route: route}
		if pair != nil {
			key.name, key.chain = pair.Name, pair.ID()
		}
		for _, id := range old {
			if id.key == key {
				out = append(out, id)
				continue next
			}
		}
		if roots == nil {
			roots = u.config.SystemRoots.Clone()
			for _, c := range h.CARoots {
				roots.AddCert(c)
			}
		}
		out = append(out, newIdentity(&u.config, u.dialer, h.Name, key, pair, roots))
	}
	return out
}

// refresh compares what is open with the index in use, after it was swapped.
func (u *upstreams) refresh(index Index) {
	u.forgetUnlisted()
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, cur := range u.open {
		h, ok := index.Lookup(name)
		if !ok || h.Action != certs.Intercept {
			delete(u.open, name)
			retire(cur.identities, nil)
			continue
		}
		u.replace(h).memory.forget()
	}
}

// close ends every idle connection.
func (u *upstreams) close() {
	u.forgetUnlisted()
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, cur := range u.open {
		delete(u.open, name)
		retire(cur.identities, nil)
	}
}

// retire ends the idle connections of identities that are not in kept. Requests in
// flight keep theirs until they have their answers.
func retire(old, kept []*identity) {
next:
	for _, id := range old {
		for _, k := range kept {
			if k == id {
				continue next
			}
		}
		id.retire()
	}
}

// An identityKey tells identities of one host apart.
type identityKey struct {
	name  string            // of the pair
	chain [sha256.Size]byte // the certificates presented; zero for none
	trust [sha256.Size]byte // the CA roots the server is verified with

	settings HostSettings
	route    *upstreamproxy.Dialer // what its connections go through: after another is set, they end
}

// A bufferPool lends the buffers that bodies are copied through.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, bufferSize)
}

func (b *bufferPool) Put(buf []byte) { b.pool.Put(&buf) }
