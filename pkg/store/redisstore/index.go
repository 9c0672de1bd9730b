package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/redis/rueidis"
)

// Due implements store.Index.
func (s *Store) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, unavailable(err)
	}
	calls := s.inShards([]string{"due"}, stamp(before), stamp(before.Add(-store.LateAfter)), stamp(usedSince), decimal(limit))
	var page []store.DueEntry
	var next time.Time
	var failed error
	for _, answer := range s.each(ctx, s.lua.due, calls) {
		entries, later, err := duePage(answer)
		if err != nil { // a server of many is away: the others' sessions must not wait for it
			failed = err
			continue
		}
		page = append(page, entries...)
		next = earlier(next, later)
	}
	if failed != nil && len(page) == 0 {
		return nil, time.Time{}, failed
	}
	slices.SortFunc(page, func(a, b store.DueEntry) int { return a.DueAt.Compare(b.DueAt) })
	if len(page) > limit {
		next = earlier(next, page[limit].DueAt)
		page = page[:limit]
	}
	return page, next, nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// duePage is one shard's: the due time that remains, and the page.
func duePage(answer rueidis.RedisResult) (page []store.DueEntry, next time.Time, err error) {
	parts, err := answer.ToArray()
	if err != nil {
		return nil, next, unavailable(err)
	}
	if len(parts) != 2 {
		return nil, next, unavailable(fmt.Errorf("the script answers %d parts", len(parts)))
	}
	at, err := parts[0].ToString()
	if err != nil {
		return nil, next, unavailable(err)
	}
	f := new(fields)
	next = f.parseTime("due", at)
	entries, err := parts[1].ToArray()
	if err != nil {
		return nil, next, unavailable(err)
	}
	for _, e := range entries {
		of, err := e.AsStrSlice()
		if err != nil || len(of) != 4 || len(of[0]) != len(session.ID{}) {
			return nil, next, unavailable(fmt.Errorf("the script answers %d fields: %v", len(of), err))
		}
		page = append(page, store.DueEntry{
			ID: session.ID([]byte(of[0])), Revision: session.Revision(f.parseNumber("revision", of[1])),
			DueAt: f.parseTime("due", of[2]), Exp: f.parseTime("exp", of[3]),
		})
	}
	return page, next, f.err
}

// Touch implements store.Index.
func (s *Store) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	ctx, cancel := hurried(ctx)
	defer cancel()
	calls := make([]call, 0, len(used))
	for id, at := range used {
		calls = append(calls, call{keys: s.keys(id), args: []string{s.clock(), string(id[:]), stamp(at)}})
	}
	for _, answer := range s.each(ctx, s.lua.touch, calls) {
		if err := answer.Error(); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	from, to := 0, shards
	if len(prefix) > 0 {
		from = int(prefix[0]) % shards
		to = from + 1
	}
	var ids []session.ID
	for n := from; n < to && len(ids) < limit; n++ {
		members, err := s.client.Do(ctx, s.client.B().Zrange().Key(s.shardKey(n, "ends")).Min("0").Max("-1").Build()).AsStrSlice()
		if err != nil {
			return nil, unavailable(err)
		}
		for _, m := range members {
			if len(m) == len(session.ID{}) && strings.HasPrefix(m, string(prefix)) && len(ids) < limit {
				ids = append(ids, session.ID([]byte(m)))
			}
		}
	}
	return ids, nil
}

// Reap implements store.Index.
func (s *Store) Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	calls := s.inShards([]string{"used", "ends"}, stamp(now), stamp(unusedSince), decimal(limit))
	over := make(map[session.ID]bool)
	for _, answer := range s.each(ctx, s.lua.reap, calls) {
		members, err := answer.AsStrSlice()
		if err != nil {
			return nil, unavailable(err)
		}
		for _, m := range members {
			if len(m) == len(session.ID{}) {
				over[session.ID([]byte(m))] = true
			}
		}
	}
	ids := slices.SortedFunc(maps.Keys(over), func(a, b session.ID) int { return cmp.Compare(string(a[:]), string(b[:])) })
	return ids[:min(limit, len(ids))], nil
}
