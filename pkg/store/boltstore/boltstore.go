package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
)

// Store implements store.Store and store.Index over one file.
type Store struct {
	db    *bbolt.DB
	codec store.Codec
	keys  *seal.Keyring // for its names
	log   *slog.Logger

	queue   chan *write
	closing chan struct{} // closed by Close: nothing more is queued
	closed  chan struct{} // closed by the committer when it has drained the queue
	once    sync.Once

	mu     sync.Mutex // of what is in memory; never held over a transaction
	due    store.DueIndex
	ends   map[session.ID]time.Time // absolute ends of the live sessions
	owners map[string]bool          // whose attempts began in this process
}

// Close lets queued writes finish and closes the file. Later calls of any
// method are session.ErrUnavailable.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		<-s.closed
		err = s.db.Close()
	})
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, ses session.Session) error {
	r := store.NewRecord(ses)
	encoded, err := s.codec.Encode(r)
	if err != nil {
		return unavailable(err)
	}
	return s.write(ctx, &write{
		do: func(tx *bbolt.Tx) error {
			if tx.Bucket(bucketTombs).Get(ses.ID[:]) != nil || tx.Bucket(bucketSessions).Get(ses.ID[:]) != nil {
				return session.ErrExists
			}
			return s.save(tx, ses, encoded)
		},
		then: func() { s.remember(r) },
	})
}

// save writes a record, and the index entries that it does not have yet: a
// refresh may tell another sid.
func (s *Store) save(tx *bbolt.Tx, ses session.Session, encoded []byte) error {
	index := tx.Bucket(bucketSubjects)
	for _, k := range store.SubjectKeys(ses) {
		sum := s.codec.SubjectSum(k)
		key := append(sum[:], ses.ID[:]...)
		if c, _ := index.Cursor().Seek(key); bytes.Equal(c, key) {
			continue
		}
		if err := index.Put(key, nil); err != nil {
			return broken(err)
		}
	}
	return broken(tx.Bucket(bucketSessions).Put(ses.ID[:], encoded))
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id session.ID) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, unavailable(err)
	}
	var encoded []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		b, err := find(tx, id)
		encoded = append(encoded, b...) // valid only inside the transaction
		return err
	})
	if err != nil {
		return store.Record{}, unavailable(err)
	}
	return s.decode(encoded)
}

// find is the encoded record of a live session.
func find(tx *bbolt.Tx, id session.ID) ([]byte, error) {
	if b := tx.Bucket(bucketTombs).Get(id[:]); b != nil {
		t, err := store.DecodeTombstone(b)
		if err != nil {
			return nil, err
		}
		return nil, t.Err()
	}
	b := tx.Bucket(bucketSessions).Get(id[:])
	if b == nil {
		return nil, session.ErrNotFound
	}
	return b, nil
}

func (s *Store) decode(encoded []byte) (store.Record, error) {
	r, err := s.codec.Decode(encoded)
	if err != nil {
		s.log.Error("session record cannot be read", "error", err)
		return store.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Used = s.due.Used(r.Session.ID)
	return r, nil
}

// step changes the record of a live session in one durable step. With an error,
// or when next says that nothing changed, nothing is written.
func (s *Store) step(ctx context.Context, id session.ID, next func(store.Record) (_ store.Record, changed bool, _ error)) error {
	var after store.Record
	var changed bool
	return s.write(ctx, &write{
		do: func(tx *bbolt.Tx) error {
			encoded, err := find(tx, id)
			if err != nil {
				return err
			}
			before, err := s.decode(encoded)
			if err != nil {
				return err
			}
			if after, changed, err = next(before); err != nil || !changed {
				return err
			}
			if after.Session.Revision == before.Session.Revision {
				encoded, err = s.codec.WithMeta(encoded, after)
			} else {
				encoded, err = s.codec.Encode(after)
			}
			if err != nil {
				return unavailable(err)
			}
			return s.save(tx, after.Session, encoded)
		},
		then: func() {
			if changed {
				s.remember(after)
			}
		},
	})
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	err = s.step(ctx, id, func(before store.Record) (store.Record, bool, error) {
		alive := before.Attempt != nil && s.owns(before.Attempt.Owner)
		var stepErr error
		r, a, stepErr = before.Begin(rev, in, time.Now(), alive)
		if stepErr == nil {
			s.own(in.Owner)
		}
		return r, stepErr == nil, stepErr
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
		do: func(tx *bbolt.Tx) error {
			encoded, err := find(tx, id)
			if errors.Is(err, session.ErrEnded) {
				return nil // twice is once
			}
			if err != nil {
				return err
			}
			r, err := s.decode(encoded)
			if err != nil {
				return err
			}
			if err := r.MayEnd(only); err != nil {
				return err
			}
			tomb, err := store.EncodeTombstone(store.Tombstone{Reason: why, At: time.Now(), Until: r.Session.EndsAt})
			if err != nil {
				return unavailable(err)
			}
			last = r.Session
			return s.bury(tx, r, tomb)
		},
		then: func() { s.forget(id) },
	})
	if err != nil {
		return session.Session{}, err
	}
	return last, nil
}

// bury leaves a tombstone and removes all else. An index entry made under a key
// that has left the ring stays; Find verifies every hit on the record.
func (s *Store) bury(tx *bbolt.Tx, r store.Record, tomb []byte) error {
	id := r.Session.ID
	errs := []error{
		tx.Bucket(bucketTombs).Put(id[:], tomb),
		tx.Bucket(bucketSessions).Delete(id[:]),
		tx.Bucket(bucketUsed).Delete(id[:]),
	}
	for _, k := range store.SubjectKeys(r.Session) {
		for sum := range s.codec.SubjectSums(k) {
			errs = append(errs, tx.Bucket(bucketSubjects).Delete(append(sum[:], id[:]...)))
		}
	}
	return broken(errors.Join(errs...))
}

func (s *Store) remember(r store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[r.Session.ID] = r.Session.EndsAt
	s.due.Put(r)
}

func (s *Store) forget(id session.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, id)
	s.due.Delete(id)
}

func (s *Store) owns(owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners[owner]
}

func (s *Store) own(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[owner] = true
}

func lastUse(used *bbolt.Bucket, id []byte) time.Time {
	if b := used.Get(id); len(b) == 8 {
		return time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	}
	return time.Time{}
}
