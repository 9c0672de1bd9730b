package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
)

// Due implements store.Index, from memory.
func (s *Store) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	if err := s.open(ctx); err != nil {
		return nil, time.Time{}, err
	}
	page, next := s.due.Due(&s.mu, before, usedSince, limit)
	return page, next, nil
}

// open: the calls that only read memory must not outlive Close either.
func (s *Store) open(ctx context.Context) error {
	select {
	case <-s.closing:
		return unavailable(errClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// Touch implements store.Index.
func (s *Store) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	return s.write(ctx, &write{
		do: func(tx *bbolt.Tx) (wrote bool, _ error) {
			b, live := tx.Bucket(bucketUsed), tx.Bucket(bucketSessions)
			// In order: bbolt splits a page when the transaction ends, and moves all that
			// is behind a new key until then.
			for _, id := range slices.SortedFunc(maps.Keys(used), func(a, b session.ID) int { return bytes.Compare(a[:], b[:]) }) {
				at := used[id]
				if live.Get(id[:]) == nil || !at.After(lastUse(b, id[:])) {
					continue
				}
				if err := b.Put(id[:], binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))); err != nil {
					return false, broken(err)
				}
				wrote = true
			}
			return wrote, nil
		},
		then: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for id, at := range used {
				s.due.Touch(id, at)
			}
		},
	})
}

// Find implements store.Index.
func (s *Store) Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var candidates []session.ID
	err := s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketSubjects).Cursor()
		for sum := range s.codec.SubjectSums(k) {
			for key, _ := c.Seek(sum[:]); bytes.HasPrefix(key, sum[:]); key, _ = c.Next() {
				if rest := key[len(sum):]; len(rest) == len(session.ID{}) {
					candidates = append(candidates, session.ID(rest))
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	var ids []session.ID
	seen := make(map[session.ID]bool)
	for _, id := range candidates {
		r, err := s.Get(ctx, id)
		switch {
		case err == nil && r.BelongsTo(k) && !seen[id]:
			seen[id] = true
			ids = append(ids, id)
		case err != nil && !session.Gone(err):
			return nil, err
		}
	}
	return ids, nil
}

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var ids []session.ID
	err := s.view(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{bucketSessions, bucketTombs} {
			c := tx.Bucket(bucket).Cursor()
			for key, _ := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix) && len(ids) < limit; key, _ = c.Next() {
				if len(key) == len(session.ID{}) {
					ids = append(ids, session.ID(key))
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return ids, nil
}

// List implements store.Index; the order is that of the IDs, and a Cursor is one.
func (s *Store) List(ctx context.Context, after store.Cursor, limit int) (ids []session.ID, next store.Cursor, _ error) {
	if err := s.open(ctx); err != nil {
		return nil, "", err
	}
	err := s.view(func(tx *bbolt.Tx) error {
		live, tombs := from(tx.Bucket(bucketSessions), after), from(tx.Bucket(bucketTombs), after)
		for len(ids) < limit && (live.key != nil || tombs.key != nil) {
			least := &live
			if live.key == nil || tombs.key != nil && bytes.Compare(tombs.key, live.key) < 0 {
				least = &tombs
			}
			ids = append(ids, session.ID(least.key))
			least.next()
		}
		if live.key != nil || tombs.key != nil {
			next = store.Cursor(ids[len(ids)-1][:])
		}
		return nil
	})
	if err != nil {
		return nil, "", unavailable(err)
	}
	return ids, next, nil
}

// keys goes through the session ids of a bucket; key is nil behind the last.
type keys struct {
	*bbolt.Cursor
	key []byte
}

func from(b *bbolt.Bucket, after store.Cursor) keys {
	k := keys{Cursor: b.Cursor()}
	if k.key, _ = k.Seek([]byte(after)); string(k.key) == string(after) || !k.whole() {
		k.next()
	}
	return k
}

func (k *keys) next() {
	for k.key, _ = k.Next(); !k.whole(); k.key, _ = k.Next() {
	}
}

func (k *keys) whole() bool { return k.key == nil || len(k.key) == len(session.ID{}) }

// Reap implements store.Index; the sessions come from memory.
func (s *Store) Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error) {
	if err := s.dropTombs(ctx, now); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due.Over(now, unusedSince, limit), nil
}

// dropTombs looks in a transaction of its own, so that no writer waits while
// there is nothing to drop. A tombstone never changes, so what was seen to be
// old is.
func (s *Store) dropTombs(ctx context.Context, now time.Time) error {
	var old [][]byte
	err := s.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketTombs).ForEach(func(k, v []byte) error {
			if t, err := store.DecodeTombstone(v); err == nil && !now.Before(t.Until) {
				old = append(old, bytes.Clone(k))
			}
			return nil
		})
	})
	if err != nil {
		return unavailable(err)
	}
	if len(old) == 0 {
		return s.open(ctx)
	}
	return s.write(ctx, &write{do: func(tx *bbolt.Tx) (bool, error) {
		return true, broken(drop(tx.Bucket(bucketTombs), old))
	}})
}
