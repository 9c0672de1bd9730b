package redisstore

import (
	"context"
	"strings"
)

// warnOfEviction tells of servers that throw keys away when their memory is full:
// whose session goes is logged out. Where INFO is forbidden, nobody is told.
func (s *Store) warnOfEviction(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, deadAfter)
	defer cancel()
	for address, node := range s.client.Nodes() {
		info, err := node.Do(ctx, node.B().Info().Section("memory").Build()).ToString()
		if err != nil {
			continue
		}
		if policy := evicts(info); policy != "" {
			s.log.Warn("the server evicts keys when its memory is full, which logs users out: set its maxmemory-policy to noeviction",
				"server", address, "maxmemory_policy", policy)
		}
	}
}

// evicts is the policy of a server, by its INFO, that may throw keys away.
func evicts(info string) (policy string) {
	limited := false
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			limited = value != "0"
		case "maxmemory_policy":
			policy = value
		}
	}
	if !limited || policy == "noeviction" {
		return ""
	}
	return policy
}
