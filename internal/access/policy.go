package access

import (
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Lists are a policy as it is written in the configuration.
type Lists struct {
	Users    []string // allow_users: names or uids, or * for every user of this machine
	Groups   []string // allow_groups: names or gids
	Networks []string // allow_networks: prefixes or single addresses of other machines
}

// A Policy says who may, at one level: for all hosts or for one. The zero value
// says nothing. It is immutable.
//
// Names are resolved when it is parsed. What changes in the user database later
// counts from the next reload of the configuration: until then a name means the number that
// it had, so that a user who was deleted and made again with another uid is not admitted yet.
// The groups of a TCP peer are read from the database for each connection that needs them.
type Policy struct {
	everybody     bool
	users, groups []uint32 // sorted, each once
	networks      []netip.Prefix
}

// Parse returns the policy of the lists, or all that is wrong with them.
func Parse(lists Lists) (Policy, error) {
	var p Policy
	var errs []error
	for _, s := range lists.Users {
		if s == "*" {
			p.everybody = true
			continue
		}
		uid, err := number("allow_users", s, userID)
		p.users, errs = append(p.users, uid), append(errs, err)
	}
	for _, s := range lists.Groups {
		gid, err := number("allow_groups", s, groupID)
		p.groups, errs = append(p.groups, gid), append(errs, err)
	}
	for _, s := range lists.Networks {
		network, err := parseNetwork(s)
		p.networks, errs = append(p.networks, network), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return Policy{}, err
	}
	slices.Sort(p.users)
	slices.Sort(p.groups)
	slices.SortFunc(p.networks, netip.Prefix.Compare)
	p.users, p.groups, p.networks = slices.Compact(p.users), slices.Compact(p.groups), slices.Compact(p.networks)
	return p, nil
}

// Equal reports whether two policies permit the same peers in the same words.
func (p Policy) Equal(o Policy) bool {
	return p.everybody == o.everybody && slices.Equal(p.users, o.users) &&
		slices.Equal(p.groups, o.groups) && slices.Equal(p.networks, o.networks)
}

// AllowsNetworks reports whether the policy admits peers on other machines.
func (p Policy) AllowsNetworks() bool { return len(p.networks) > 0 }

// saysUsers reports whether the policy says anything about the users of this machine.
func (p Policy) saysUsers() bool { return p.everybody || len(p.users)+len(p.groups) > 0 }

func (p Policy) permitsUser(peer *Peer) bool {
	if p.everybody {
		return true
	}
	uid, known := peer.UID()
	if !known {
		return false
	}
	if _, listed := slices.BinarySearch(p.users, uid); listed {
		return true
	}
	return peer.in(p.groups)
}

func (p Policy) permitsAddr(addr netip.Addr) bool {
	addr = addr.WithZone("")
	return slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// number reads a name or a number of a list. The kernel's "no user", 2^32-1, is none.
func number(list, s string, lookup func(string) (string, error)) (uint32, error) {
	kind, id := "user", "uid"
	if list == "allow_groups" {
		kind, id = "group", "gid"
	}
	switch {
	case s == "":
		return 0, fmt.Errorf("%s: an empty name; write a name or a %s", list, id)
	case s == "*":
		return 0, fmt.Errorf("%s: * is not a group; to admit every user of this machine write allow_users: [\"*\"]", list)
	case strings.Trim(s, "0123456789") == "":
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 1<<32-1 {
			return 0, fmt.Errorf("%s: %s is not a %s; they go from 0 to 4294967294", list, s, id)
		}
		return uint32(n), nil
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ',' || r == ':' }):
		return 0, fmt.Errorf("%s: %q is not the name of a %s; write one name or %s an entry", list, s, kind, id)
	}
	text, err := lookup(s)
	var n uint64
	if err == nil {
		n, err = strconv.ParseUint(text, 10, 32)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: there is no %s %q on this machine; check the spelling, or write the %s as a number, for example 1000", list, kind, s, id)
	}
	return uint32(n), nil
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// parseNetwork reads an entry of allow_networks. One that lies within this machine is refused:
// it would look as if it let its users in, who are known by their names.
func parseNetwork(s string) (netip.Prefix, error) {
	if s == "*" {
		return netip.Prefix{}, errors.New("allow_networks: * is only for allow_users; to admit every network write 0.0.0.0/0 and ::/0")
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("allow_networks: %q is not a network; write an address, or a prefix such as 10.1.0.0/16 or 2001:db8::/32", s)
		}
		prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
	}
	switch masked := prefix.Masked(); {
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("allow_networks: %q is an IPv4 network written as IPv6; write it as IPv4, such as 10.1.0.0/16", s)
	case masked.Addr() != prefix.Addr():
		return netip.Prefix{}, fmt.Errorf("allow_networks: %s has bits beyond its length; write %s, or the address alone", s, masked)
	case prefix.Addr().IsLoopback():
		return netip.Prefix{}, fmt.Errorf("allow_networks: %s is this machine, whose users are named in allow_users; \"*\" there admits all of them", s)
	}
	return prefix, nil
}
