package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// copyWithin is how long a step waits for a replica of the server, in ms. After that
// it counts: a replica that is cut off must not stop every login.
const copyWithin = 500

var errNoCopy = fmt.Errorf("no replica has it after %d ms", copyWithin)

var errNoCopies = errors.New("the servers had replicas, and have none")

// lookForCopies asks every server whether it has replicas.
func (s *Store) lookForCopies(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, copyWithin*time.Millisecond) // one of many may be away, and the next beat must not wait
	defer cancel()
	copied := false
	for _, node := range s.client.Nodes() {
		info, err := node.Do(ctx, node.B().Info().Section("replication").Build()).ToString()
		if err == nil && strings.Contains(info, "role:master") && !strings.Contains(info, "connected_slaves:0") {
			copied = true
		}
	}
	if s.copied.Store(copied); copied {
		s.hadCopies = true
	} else if s.hadCopies {
		s.troubles.met(uncopied, errNoCopies)
	}
}

// runCopied runs a script and, on the same connection, waits for a replica to have
// what it wrote; had tells that one has.
func (s *Store) runCopied(ctx context.Context, what script, c call) (answer rueidis.RedisResult, had bool) {
	err := s.client.Dedicated(func(one rueidis.DedicatedClient) error {
		run := func(script rueidis.Completed) {
			answers := one.DoMulti(ctx, script, one.B().Wait().Numreplicas(1).Timeout(copyWithin).Build())
			answer = answers[0]
			copies, err := answers[1].AsInt64()
			if had = err == nil && copies > 0; !had && answer.Error() == nil {
				s.troubles.met(uncopied, errNoCopy)
			}
		}
		run(one.B().Evalsha().Sha1(what.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
		if refused, ok := rueidis.IsRedisErr(answer.Error()); ok && refused.IsNoScript() {
			run(one.B().Eval().Script(what.body).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
		}
		return nil
	})
	if err != nil {
		return rueidis.NewErrorResult(err), false
	}
	return answer, had
}
