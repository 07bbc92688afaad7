package access

import (
	"fmt"
	"os"
)

// A Use is what a peer asks for.
type Use uint8

const (
	// Identities is to be carried under the client certificates of a host. Where no
	// list says otherwise, root and our own user may: they could read the keys as well.
	Identities Use = iota

	// Tunnel is to have bytes carried, with nothing of ours lent. Every user of this
	// machine may; lists for all hosts are about identities and do not
	// narrow that, those of the one host do.
	Tunnel
)

// A Request is what a peer asks for, and what was said about it.
type Request struct {
	Use  Use
	Host string // the canonical authority

	// Authenticated is the name that the peer has proven by a password or a
	// client certificate; empty where it has not. It is not a user of this machine, so it is
	// on no list: it opens to a peer on another machine, and where no list says
	// which local users may, to those.
	Authenticated string

	Global, ForHost Policy // the stricter wins
}

// A Refusal says why a peer may not, and what would change that.
type Refusal struct {
	Reason string // "user nobody (uid 65534) may not use the identities of registry.example:443"
	Hint   string // `add "nobody" to allow_users, for this host or for all, and reload`

	// Authenticate is whether a password or a client certificate would have helped.
	Authenticate bool

	// HostOnly is whether the lists of the one host refuse, and nothing that is said
	// for all hosts would change it.
	HostOnly bool
}

// Error is the reason. The hint is a line apart.
func (r *Refusal) Error() string { return r.Reason }

// Decide returns nil if the peer may, else why not.
//
// A peer on this machine has to be on the lists of both levels, of which one that names
// no user and no group permits all; if neither names any, the default of the use holds.
// A peer on another machine has to be authenticated, or in the networks of both levels, with
// at least one that names any. Networks do not open to this machine, nor users to others.
func Decide(peer *Peer, r Request) *Refusal {
	if peer.Local {
		return decideLocal(peer, r)
	}
	return decideRemote(peer, r)
}

func decideLocal(peer *Peer, r Request) *Refusal {
	global, forHost := r.Global.saysUsers(), r.ForHost.saysUsers()
	if r.Use == Tunnel {
		global = false
	}
	globalRefuses := global && !r.Global.permitsUser(peer)
	hostRefuses := forHost && !r.ForHost.permitsUser(peer)
	if !global && !forHost {
		uid, known := peer.UID()
		if r.Use == Tunnel || r.Authenticated != "" || known && (uid == 0 || int64(uid) == int64(os.Geteuid())) {
			return nil
		}
	} else if !globalRefuses && !hostRefuses {
		return nil
	}
	where := level(globalRefuses, hostRefuses)
	refusal := &Refusal{Reason: reason(peer, r), Authenticate: !global && !forHost, HostOnly: hostRefuses && !globalRefuses}
	if _, known := peer.UID(); known {
		refusal.Hint = fmt.Sprintf("add %q to allow_users, %s, and reload", peer.name(), where)
	} else {
		refusal.Reason += fmt.Sprintf(": who it is could not be found (%v)", peer.Why)
		refusal.Hint = fmt.Sprintf(`keep the connection open until the answer is there, or add "*" to allow_users, %s, to admit every user of this machine`, where)
	}
	return refusal
}

func decideRemote(peer *Peer, r Request) *Refusal {
	global, forHost := r.Global.AllowsNetworks(), r.ForHost.AllowsNetworks()
	globalRefuses := global && !r.Global.permitsAddr(peer.Addr)
	hostRefuses := forHost && !r.ForHost.permitsAddr(peer.Addr)
	if r.Authenticated != "" || (global || forHost) && !globalRefuses && !hostRefuses {
		return nil
	}
	where := level(globalRefuses, hostRefuses)
	return &Refusal{
		Reason:       reason(peer, r),
		Hint:         fmt.Sprintf("authenticate to the proxy, or add %q to allow_networks, %s, and reload", peer.Addr.WithZone(""), where),
		Authenticate: true,
		HostOnly:     hostRefuses && !globalRefuses,
	}
}

// level says where the lists are that have to change.
func level(global, forHost bool) string {
	switch {
	case global && forHost:
		return "for this host and for all"
	case global:
		return "for all hosts"
	case forHost:
		return "for this host"
	}
	return "for this host or for all" // no list has said anything yet
}

func reason(peer *Peer, r Request) string {
	if r.Use == Tunnel {
		return fmt.Sprintf("%s may not connect to %s", peer, r.Host)
	}
	return fmt.Sprintf("%s may not use the identities of %s", peer, r.Host)
}
