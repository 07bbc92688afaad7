package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/certproxy/certproxy/internal/access"
	"github.com/certproxy/certproxy/internal/config"
)

// policies are who may, for all hosts and for single ones.
type policies struct {
	global access.Policy
	hosts  map[string]access.Policy // by canonical name:port
}

// parsePolicies reads the lists of all hosts and of single ones.
func parsePolicies(o options) (policies, config.Mistakes) {
	p := policies{hosts: make(map[string]access.Policy, len(o.AllowHosts))}
	var mistakes config.Mistakes
	p.global, mistakes = parsePolicy(o.origins, "", o.Allow)
	for _, host := range slices.Sorted(maps.Keys(o.AllowHosts)) {
		policy, wrong := parsePolicy(o.origins, host, o.AllowHosts[host])
		p.hosts[host] = policy
		mistakes = append(mistakes, wrong...)
	}
	return p, mistakes
}

// parsePolicy reads the lists of one level; host is empty at the top.
func parsePolicy(origins config.Origins, host string, allow config.Allow) (access.Policy, config.Mistakes) {
	var mistakes config.Mistakes
	look := func(key string, entries []string, lists func(entry []string) access.Lists) {
		for i, entry := range entries {
			if _, err := access.Parse(lists([]string{entry})); err != nil {
				mistakes = append(mistakes, origins.Of(host, key, i).Mistake(strings.TrimPrefix(err.Error(), key+": ")))
			}
		}
	}
	look("allow_users", allow.Users, func(entry []string) access.Lists { return access.Lists{Users: entry} })
	look("allow_groups", allow.Groups, func(entry []string) access.Lists { return access.Lists{Groups: entry} })
	look("allow_networks", allow.Networks, func(entry []string) access.Lists { return access.Lists{Networks: entry} })
	if len(mistakes) > 0 {
		return access.Policy{}, mistakes
	}
	policy, err := access.Parse(access.Lists{Users: allow.Users, Groups: allow.Groups, Networks: allow.Networks})
	if err != nil { // a user who was deleted just now
		mistakes = config.Mistakes{config.Origin{}.Mistake(err.Error())}
	}
	return policy, mistakes
}

// hint says what would admit a peer of this machine who was refused: the words of the
// refusal name the key, and what else has to be done depends on who sets it.
func (o options) hint(refused *access.Refusal, peer *access.Peer) string {
	key, flag, who := "allow_users", "--allow-user", "'*'"
	if uid, known := peer.UID(); known {
		who = fmt.Sprint(uid)
	}
	if !peer.Local {
		key, flag, who = "allow_networks", "--allow-network", peer.Addr.WithZone("").String()
	}
	if refused.HostOnly {
		return refused.Hint
	}
	switch from := o.origins.Of("", key, 0); from.Source {
	case config.Flag:
		return fmt.Sprintf("%s; certproxy was started with %s, which overrides the file: start it with %s %s too", refused.Hint, flag, flag, who)
	case config.Variable:
		return fmt.Sprintf("%s; %s overrides the file: add %s there and restart", refused.Hint, from.Name, who)
	case config.File:
		return refused.Hint
	}
	return fmt.Sprintf("%s; or start certproxy with %s %s", refused.Hint, flag, who)
}
