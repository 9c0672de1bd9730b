package redisstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

const (
	// shards is how many parts the sessions are in: each is in one slot of a cluster,
	// and one replica looks after it.
	shards = 64
	// beatEvery is how often a replica says that it is there, deadAfter how long it
	// counts as there, and how long a shard is its own. A dead one's shards are
	// another's within the sum of the two.
	beatEvery = time.Second
	deadAfter = 3 * time.Second
)

// duties are the shards this replica looks after: of all replicas, the one with the
// highest number for the shard has it. Nobody has to agree on anything, and a
// replica that comes or goes moves only what is its own. While two disagree, the
// shard's own key decides.
func duties(me string, all []string) []int {
	var mine []int
	for n := range shards {
		best := slices.MaxFunc(all, func(a, b string) int { return cmp.Compare(weight(a, n), weight(b, n)) })
		if best == me {
			mine = append(mine, n)
		}
	}
	return mine
}

func weight(replica string, shard int) uint64 {
	sum := sha256.Sum256(append([]byte(replica), byte(shard)))
	return binary.BigEndian.Uint64(sum[:])
}

// inShards are the calls of one script in every shard this replica looks after.
func (s *Store) inShards(sets []string, args ...string) []call {
	var calls []call
	hold := ""
	mine := s.mine.Load()
	if mine == nil {
		mine = new(allShards())
	} else {
		hold = decimal(uint64(deadAfter.Milliseconds()))
	}
	for _, n := range *mine {
		keys := []string{s.shardKey(n, "owner")}
		for _, set := range sets {
			keys = append(keys, s.shardKey(n, set))
		}
		calls = append(calls, call{keys, append([]string{s.owner, hold, s.shardKey(n, "session:")}, args...)})
	}
	return calls
}

func allShards() []int {
	all := make([]int, shards)
	for n := range all {
		all[n] = n
	}
	return all
}
