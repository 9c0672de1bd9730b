package redisstore

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/redis/rueidis"
)

func (s *Store) subjectKey(sum [32]byte) string {
	return s.prefix + ":subject:" + hex.EncodeToString(sum[:])
}

// listed is under what a session is found by its user and its OP session.
func (s *Store) listed(ses session.Session) string {
	var sums strings.Builder
	for _, k := range store.SubjectKeys(ses) {
		sum := s.codec.SubjectSum(k)
		sums.Write(sum[:])
	}
	return sums.String()
}

// list enters the session under its user and its OP session, before it is there:
// Find looks at the record of every hit.
func (s *Store) list(ctx context.Context, ses session.Session) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	life := time.Until(ses.EndsAt)
	if s.now != nil {
		life = ses.EndsAt.Sub(s.now())
	}
	var calls []call
	for _, k := range store.SubjectKeys(ses) {
		calls = append(calls, call{
			keys: []string{s.subjectKey(s.codec.SubjectSum(k))},
			args: []string{string(ses.ID[:]), decimal(uint64(max(0, life.Milliseconds()) + keptAfterEnd.Milliseconds()))},
		})
	}
	for _, answer := range s.each(ctx, s.lua.list, calls) {
		if err := answer.Error(); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// unlist is to save memory: an entry that stays is found wrong by Find.
func (s *Store) unlist(ctx context.Context, ses session.Session) {
	var calls rueidis.Commands
	for _, k := range store.SubjectKeys(ses) {
		for sum := range s.codec.SubjectSums(k) {
			calls = append(calls, s.client.B().Srem().Key(s.subjectKey(sum)).Member(string(ses.ID[:])).Build())
		}
	}
	for _, answer := range s.client.DoMulti(ctx, calls...) {
		if err := answer.Error(); err != nil {
			s.log.Warn("ended session stays in the subject index", "session", ses.ID, "error", err)
			return
		}
	}
}

// Find implements store.Index.
func (s *Store) Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	var ids []session.ID
	seen := make(map[session.ID]bool)
	for sum := range s.codec.SubjectSums(k) {
		members, err := s.client.Do(ctx, s.client.B().Smembers().Key(s.subjectKey(sum)).Build()).AsStrSlice()
		if err != nil {
			return nil, unavailable(err)
		}
		for _, m := range members {
			if len(m) != len(session.ID{}) || seen[session.ID([]byte(m))] {
				continue
			}
			id := session.ID([]byte(m))
			seen[id] = true
			r, err := s.Get(ctx, id)
			switch {
			case err == nil && r.BelongsTo(k):
				ids = append(ids, id)
			case err != nil && !session.Gone(err):
				return nil, err
			}
		}
	}
	return ids, nil
}
