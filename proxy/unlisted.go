package proxy

import (
	"sync"

	"github.com/certproxy/certproxy/certs"
)

// maxUnlisted bounds how many hosts without a directory are remembered, with their idle
// connections: their names come from clients.
const maxUnlisted = 256

// unlistedHosts are the hosts without a directory to which requests are carried without an
// identity. Each has connections of its own, as listed ones do.
type unlistedHosts struct {
	mu   sync.Mutex
	open map[origin]*upstream
}

// An origin is a scheme and a canonical name:port, and for whom: connections that are made
// for ourselves are not for others.
type origin struct {
	scheme, authority string
	forOthers         bool
}

// unlisted returns the upstream of a host without a directory.
func (u *upstreams) unlisted(key origin) *upstream {
	l := &u.without
	l.mu.Lock()
	defer l.mu.Unlock()
	if up, ok := l.open[key]; ok {
		return up
	}
	if len(l.open) >= maxUnlisted {
		for other, up := range l.open { // whichever: what is in use goes on with its connection
			retire(up.identities, nil)
			delete(l.open, other)
			break
		}
	}
	if l.open == nil {
		l.open = map[origin]*upstream{}
	}
	up := u.newUpstream(&certs.Host{Name: key.authority}, nil)
	up.scheme = key.scheme
	up.identities[0].plain, up.identities[0].forOthers = key.scheme == "http", key.forOthers
	l.open[key] = up
	return up
}

// forgetUnlisted lets go of all of them: settings, or the way to them, may have changed.
func (u *upstreams) forgetUnlisted() {
	u.without.mu.Lock()
	defer u.without.mu.Unlock()
	for key, up := range u.without.open {
		retire(up.identities, nil)
		delete(u.without.open, key)
	}
}
