package access

import (
	"errors"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"sync"
)

// A Way is how a peer was found.
type Way uint8

const (
	NotFound      Way = iota // Peer.Why says why
	ByCredentials            // SO_PEERCRED of a unix socket
	BySocketTable            // the owner of the client's TCP socket on this machine
)

var (
	// ErrRemote is why a peer on another machine has no uid.
	ErrRemote = errors.New("the peer is on another machine")

	// ErrGone is why a peer has no uid that has closed its socket, or whose
	// connection is not in this machine's table of sockets any more.
	ErrGone = errors.New("the client's socket has no owner any more, or is not in the kernel's table")

	// ErrUnmapped is why a peer has no uid which this user namespace has no
	// number for: the kernel shows all of those as one overflow uid.
	ErrUnmapped = errors.New("the client's user has no uid in this user namespace")

	// ErrDisowned is why a peer has no uid that is a certproxy with a connection for
	// another user: see [Disown].
	ErrDisowned = errors.New("the connection was made by a certproxy for another user")

	// ErrNotSupported is why a peer of another kind of connection has no uid.
	ErrNotSupported = errors.New("this kind of connection does not tell its user")
)

// A Peer is who is at the other end of one connection. It is made once, when the
// connection was accepted, and thrown away with it: a port soon belongs to somebody
// else. It is safe for concurrent use.
type Peer struct {
	Way   Way
	Local bool       // on this machine
	Addr  netip.Addr // the zero value on a unix socket
	Why   error      // why there is no uid; nil where there is one

	uid    uint32
	groups []uint32 // those the kernel told, of a unix socket
	told   bool     // groups are all that the peer is in

	resolveGroups, resolveName sync.Once
	resolvedGroups             []uint32
	resolvedName               string
}

// UID returns the peer's uid, if it was found.
//
// On a unix socket it is the effective uid with which the peer connected. For TCP it is
// the owner of the client's socket: the file system uid of the process when it made the
// socket. A socket that is passed on, by fork, by exec of a set-uid program or over a
// unix socket, keeps the owner: whoever lends an open connection lends their name.
func (p *Peer) UID() (uint32, bool) { return p.uid, p.Way != NotFound }

// Key names the peer for whatever counts by client: the user on this machine, else
// the address, an IPv6 one by its /64, which is what one customer is given.
func (p *Peer) Key() string {
	uid, known := p.UID()
	switch {
	case known:
		return "uid " + strconv.FormatUint(uint64(uid), 10)
	case p.Local:
		return "local"
	case p.Addr.Is6():
		prefix, err := p.Addr.Prefix(64)
		if err == nil {
			return prefix.String()
		}
	}
	return p.Addr.String()
}

// String names the peer for people: "user nobody (uid 65534)", "10.1.2.3".
func (p *Peer) String() string {
	uid, known := p.UID()
	switch {
	case known:
		number := strconv.FormatUint(uint64(uid), 10)
		if name := p.name(); name != number {
			return "user " + name + " (uid " + number + ")"
		}
		return "user with uid " + number
	case p.Local:
		return "an unknown user of this machine"
	}
	return p.Addr.String()
}

// name returns what to write into allow_users: the name, or the number of a user who
// is not in the user database. It is looked up once, for a refusal.
func (p *Peer) name() string {
	p.resolveName.Do(func() {
		p.resolvedName = strconv.FormatUint(uint64(p.uid), 10)
		if u, err := user.LookupId(p.resolvedName); err == nil {
			p.resolvedName = u.Username
		}
	})
	return p.resolvedName
}

// in reports whether the peer is in one of the groups, which are sorted. Only here is the
// user database asked, once per connection, and only for a policy that names groups.
//
// Where the kernel told the groups of the process they are the answer; else they
// are those that the database gives the user, whether the process dropped them or not.
func (p *Peer) in(groups []uint32) bool {
	if _, known := p.UID(); !known || len(groups) == 0 {
		return false
	}
	p.resolveGroups.Do(func() {
		p.resolvedGroups = p.groups
		if !p.told {
			p.resolvedGroups = append(databaseGroups(p.uid), p.groups...)
		}
	})
	return slices.ContainsFunc(p.resolvedGroups, func(gid uint32) bool {
		_, found := slices.BinarySearch(groups, gid)
		return found
	})
}

// databaseGroups returns the groups of a uid. A user who is not in the database, as in
// containers, has none.
func databaseGroups(uid uint32) []uint32 {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		ids = []string{u.Gid}
	}
	var out []uint32
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			out = append(out, uint32(gid))
		}
	}
	return out
}
