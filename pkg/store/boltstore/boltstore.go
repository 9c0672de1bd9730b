package boltstore

import (
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

// Store implements store.Store, store.Index and store.Importer over one file.
type Store struct {
	db    *bbolt.DB
	path  string
	codec store.Codec
	keys  *seal.Keyring // for its names
	alarm *store.Alarm
	log   *slog.Logger
	now   func() time.Time

	queue   chan *write
	closing chan struct{} // closed by Close: nothing more is queued
	closed  chan struct{} // closed by the committer when it has drained the queue
	once    sync.Once
	failing bool // the committer's: the last transaction could not be written

	mu     sync.Mutex // of what is in memory; never held over a transaction
	due    store.DueIndex
	owners map[string]bool // whose attempts began in this process
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
		do: func(tx *bbolt.Tx) (bool, error) {
			if tx.Bucket(bucketTombs).Get(ses.ID[:]) != nil || tx.Bucket(bucketSessions).Get(ses.ID[:]) != nil {
				return false, session.ErrExists
			}
			return true, broken(errors.Join(tx.Bucket(bucketSessions).Put(ses.ID[:], encoded), s.list(tx, ses, nil)))
		},
		then: func() { s.remember(r) },
	})
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id session.ID) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, unavailable(err)
	}
	var encoded []byte
	err := s.view(func(tx *bbolt.Tx) error {
		b, err := find(tx, id)
		encoded = append(encoded, b...) // valid only inside the transaction
		return err
	})
	if err != nil {
		return store.Record{}, unavailable(err)
	}
	return s.decode(id, encoded)
}

// view reads in a short transaction: a write that needs a larger map waits for it.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return guarded(func() error { return s.db.View(f) })
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

func (s *Store) decode(id session.ID, encoded []byte) (store.Record, error) {
	r, err := s.codec.Decode(encoded)
	if err != nil {
		s.alarm.Unreadable(id, err)
		return store.Record{}, err
	}
	r.Used = s.lastUsed(r.Session.ID)
	return r, nil
}

func (s *Store) lastUsed(id session.ID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due.Used(id)
}

func (s *Store) remember(r store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due.Put(r)
}

func (s *Store) forget(id session.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
