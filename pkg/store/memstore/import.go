package memstore

import (
	"context"
	"slices"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Import implements store.Importer.
func (s *Store) Import(ctx context.Context, r store.Record) error {
	if err := live(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tombs[r.Session.ID]; ok {
		return t.Err()
	}
	r = r.Orphaned()
	if before, ok := s.records[r.Session.ID]; ok && !r.Newer(before) {
		return session.ErrExists
	}
	s.put(r)
	return nil
}

// Bury implements store.Importer.
func (s *Store) Bury(ctx context.Context, id session.ID, t store.Tombstone) error {
	if err := live(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, ok := s.tombs[id]; ok {
		return there.Err()
	}
	if r, ok := s.records[id]; ok {
		t = r.Tombstone(t.Reason, store.Cond{}, s.now())
		delete(s.records, id)
		s.due.Delete(id)
	}
	t.History = slices.Clone(t.History)
	s.tombs[id] = t
	return nil
}
