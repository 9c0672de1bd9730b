package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// place is one in the sets of absolute ends, shard by shard. It stays as long as the
// session or its tombstone does: no refresh and no end moves it.
type place struct {
	shard int
	end   float64 // the score
	id    session.ID
}

func startOf(shard int) place { return place{shard: shard, end: math.Inf(-1)} }

// before is the order of a shard's set.
func (p place) before(q place) bool {
	return p.end < q.end || p.end == q.end && string(p.id[:]) < string(q.id[:])
}

func (p place) score() string { return strconv.FormatFloat(p.end, 'f', -1, 64) }

func (p place) cursor() store.Cursor {
	return store.Cursor(fmt.Sprintf("%d %s %s", p.shard, p.score(), hex.EncodeToString(p.id[:])))
}

func placeOf(c store.Cursor) (p place, err error) {
	if c == "" {
		return startOf(0), nil
	}
	parts := strings.Split(string(c), " ")
	if len(parts) != 3 || len(parts[2]) != hex.EncodedLen(len(p.id)) {
		return p, unavailable(errors.New("cursor is not of this store"))
	}
	if p.shard, err = strconv.Atoi(parts[0]); err == nil {
		if p.end, err = strconv.ParseFloat(parts[1], 64); err == nil {
			_, err = hex.Decode(p.id[:], []byte(parts[2]))
		}
	}
	if err != nil {
		return p, unavailable(err)
	}
	return p, nil
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, after store.Cursor, limit int) ([]session.ID, store.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", unavailable(err)
	}
	at, err := placeOf(after)
	if err != nil {
		return nil, "", err
	}
	var ids []session.ID
	for ; at.shard < shards; at = startOf(at.shard + 1) {
		found, err := s.listShard(ctx, at, limit-len(ids))
		if err != nil {
			return nil, "", err
		}
		for _, p := range found {
			ids = append(ids, p.id)
		}
		if len(ids) == limit {
			return ids, found[len(found)-1].cursor(), nil
		}
	}
	return ids, "", nil
}

// listShard is the next n behind at; fewer: there are no more.
func (s *Store) listShard(ctx context.Context, at place, n int) (found []place, _ error) {
	for skip := 0; ; skip += n {
		page, err := s.client.Do(ctx, s.client.B().Zrangebyscore().Key(s.shardKey(at.shard, "ends")).
			Min(at.score()).Max("+inf").Withscores().Limit(int64(skip), int64(n)).Build()).AsZScores()
		if err != nil {
			return nil, unavailable(err)
		}
		for _, z := range page { // those of the score of at come once more
			p := place{shard: at.shard, end: z.Score}
			if len(z.Member) == len(p.id) && len(found) < n {
				copy(p.id[:], z.Member)
				if at.before(p) {
					found = append(found, p)
				}
			}
		}
		if len(found) == n || len(page) < n {
			return found, nil
		}
	}
}
