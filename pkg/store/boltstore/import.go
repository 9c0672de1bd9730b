package boltstore

import (
	"context"
	"errors"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
)

// Import implements store.Importer.
func (s *Store) Import(ctx context.Context, r store.Record) error {
	r = r.Orphaned()
	id := r.Session.ID
	return s.write(ctx, &write{
		do: func(tx *bbolt.Tx) (bool, error) {
			var listed [][]byte
			before, err := s.findRecord(tx, id)
			switch {
			case err == nil && !r.Newer(before):
				return false, session.ErrExists
			case err == nil:
				r.Used = session.Later(r.Used, before.Used)
				listed = s.entries(before.Session)
			case !errors.Is(err, session.ErrNotFound):
				return false, err
			}
			encoded, err := s.codec.Encode(r)
			if err != nil {
				return false, unavailable(err)
			}
			return true, broken(errors.Join(tx.Bucket(bucketSessions).Put(id[:], encoded), s.list(tx, r.Session, listed)))
		},
		then: func() { s.remember(r) },
	})
}

func (s *Store) findRecord(tx *bbolt.Tx, id session.ID) (store.Record, error) {
	encoded, err := find(tx, id)
	if err != nil {
		return store.Record{}, err
	}
	return s.decode(id, encoded)
}

// Bury implements store.Importer.
func (s *Store) Bury(ctx context.Context, id session.ID, t store.Tombstone) error {
	tomb, err := store.EncodeTombstone(t)
	if err != nil {
		return unavailable(err)
	}
	err = s.write(ctx, &write{do: func(tx *bbolt.Tx) (bool, error) {
		switch _, err := find(tx, id); {
		case err == nil:
			return false, session.ErrExists
		case !errors.Is(err, session.ErrNotFound):
			return false, err
		}
		return true, broken(tx.Bucket(bucketTombs).Put(id[:], tomb))
	}})
	if errors.Is(err, session.ErrExists) {
		_, err = s.End(ctx, id, t.Reason, store.Cond{})
	}
	return err
}
