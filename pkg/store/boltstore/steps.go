package boltstore

import (
	"context"
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
)

// step changes the record of a live session in one durable step. With an error,
// or when next says that nothing changed, nothing is written.
func (s *Store) step(ctx context.Context, id session.ID, next func(store.Record) (_ store.Record, changed bool, _ error)) error {
	var after store.Record
	return s.write(ctx, &write{
		do: func(tx *bbolt.Tx) (bool, error) {
			encoded, err := find(tx, id)
			if err != nil {
				return false, err
			}
			before, err := s.decode(id, encoded)
			if err != nil {
				return false, err
			}
			var changed bool
			if after, changed, err = next(before); err != nil || !changed {
				return false, err
			}
			if after.Session.Revision == before.Session.Revision {
				encoded, err = s.codec.WithMeta(encoded, after)
				if err != nil {
					return false, unavailable(err)
				}
				return true, broken(tx.Bucket(bucketSessions).Put(id[:], encoded))
			}
			if encoded, err = s.codec.Encode(after); err != nil {
				return false, unavailable(err)
			}
			return true, broken(errors.Join(tx.Bucket(bucketSessions).Put(id[:], encoded), s.list(tx, after.Session, s.entries(before.Session))))
		},
		then: func() { s.remember(after) },
	})
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	err = s.step(ctx, id, func(before store.Record) (store.Record, bool, error) {
		alive := before.Attempt != nil && s.owns(before.Attempt.Owner)
		var stepErr error
		r, a, stepErr = before.Begin(rev, in, s.now(), alive)
		if stepErr == nil {
			s.own(in.Owner)
		}
		return r, stepErr == nil && !before.Holds(a), stepErr
	})
	if errors.Is(err, session.ErrUnavailable) {
		return store.Record{}, store.Attempt{}, err // r may still be written to
	}
	return r, a, err
}

// Extend implements store.Store. The owner is this process, so there is no
// lease to prolong.
func (s *Store) Extend(ctx context.Context, a store.Attempt, _ time.Duration) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, bool, error) {
		if !r.Holds(a) {
			return r, false, session.ErrMoved
		}
		return r, false, nil
	})
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, bool, error) {
		r, done, err := r.Commit(a, next)
		return r, !done, err
	})
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, bool, error) {
		r, err := r.Fail(a, f)
		return r, true, err
	})
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	var last session.Session
	err := s.write(ctx, &write{
		do: func(tx *bbolt.Tx) (bool, error) {
			encoded, err := find(tx, id)
			if errors.Is(err, session.ErrEnded) {
				return false, nil // twice is once
			}
			if err != nil {
				return false, err
			}
			r, err := s.decode(id, encoded)
			if err != nil {
				return false, err
			}
			if err := r.MayEnd(only); err != nil {
				return false, err
			}
			tomb, err := store.EncodeTombstone(r.Tombstone(why, only, s.now()))
			if err != nil {
				return false, unavailable(err)
			}
			last = r.Session
			return true, s.bury(tx, r, tomb)
		},
		then: func() { s.forget(id) },
	})
	if err != nil {
		return session.Session{}, err
	}
	return last, nil
}

// bury leaves a tombstone and removes all else.
func (s *Store) bury(tx *bbolt.Tx, r store.Record, tomb []byte) error {
	id := r.Session.ID
	return broken(errors.Join(
		tx.Bucket(bucketTombs).Put(id[:], tomb),
		tx.Bucket(bucketSessions).Delete(id[:]),
		tx.Bucket(bucketUsed).Delete(id[:]),
		drop(tx.Bucket(bucketSubjects), s.entries(r.Session)),
	))
}
