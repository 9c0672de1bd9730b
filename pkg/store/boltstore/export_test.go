package boltstore

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
)

// What Open is made of.
var (
	CheckPages = checkPages
	SetAside   = setAside
)

// OpenPaused is Open without a committer: writes queue up until resume starts it.
func OpenPaused(o Options) (s *Store, resume func(), err error) {
	s, err = begin(o)
	return s, func() { go s.commitLoop() }, err
}

// Queued is how many writes wait.
func (s *Store) Queued() int { return len(s.queue) }

// Transactions counts the committed ones.
func (s *Store) Transactions() (n int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n, err
}

// Keys counts the keys of the subject index and of the last uses.
func (s *Store) Keys() (subjects, used int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		subjects, used = tx.Bucket(bucketSubjects).Stats().KeyN, tx.Bucket(bucketUsed).Stats().KeyN
		return nil
	})
	return subjects, used, err
}

// Panic queues a write that panics, Break one that finds the file broken.
func (s *Store) Panic(ctx context.Context) error {
	return s.write(ctx, &write{do: func(*bbolt.Tx) (bool, error) { panic("a page that is not one") }})
}

// Break is described at Panic.
func (s *Store) Break(ctx context.Context) error {
	return s.write(ctx, &write{do: func(*bbolt.Tx) (bool, error) { return true, broken(errors.New("no such page")) }})
}
