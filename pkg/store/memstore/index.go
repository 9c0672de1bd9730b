package memstore

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Due implements store.Index.
func (s *Store) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	if err := live(ctx); err != nil {
		return nil, time.Time{}, err
	}
	page, next := s.due.Due(&s.mu, before, usedSince, limit)
	return page, next, nil
}

// Touch implements store.Index.
func (s *Store) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	if err := live(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range used {
		s.due.Touch(id, t)
	}
	return nil
}

// Find implements store.Index by looking at every session.
func (s *Store) Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error) {
	if err := live(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []session.ID
	for id, r := range s.records {
		if r.BelongsTo(k) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Lookup implements store.Index by looking at every session.
func (s *Store) Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error) {
	if err := live(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []session.ID
	for _, known := range []iter.Seq[session.ID]{maps.Keys(s.records), maps.Keys(s.tombs)} {
		for id := range known {
			if bytes.HasPrefix(id[:], prefix) && len(ids) < limit {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// List implements store.Index by looking at every session; the order is that of
// the IDs, and a Cursor is one.
func (s *Store) List(ctx context.Context, after store.Cursor, limit int) ([]session.ID, store.Cursor, error) {
	if err := live(ctx); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	var ids []session.ID
	for _, known := range []iter.Seq[session.ID]{maps.Keys(s.records), maps.Keys(s.tombs)} {
		for id := range known {
			if string(id[:]) > string(after) {
				ids = append(ids, id)
			}
		}
	}
	s.mu.Unlock()
	slices.SortFunc(ids, func(a, b session.ID) int { return bytes.Compare(a[:], b[:]) })
	if len(ids) <= limit {
		return ids, "", nil
	}
	return ids[:limit], store.Cursor(ids[limit-1][:]), nil
}

// Reap implements store.Index.
func (s *Store) Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error) {
	if err := live(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range s.tombs {
		if !now.Before(t.Until) {
			delete(s.tombs, id)
		}
	}
	return s.due.Over(now, unusedSince, limit), nil
}
