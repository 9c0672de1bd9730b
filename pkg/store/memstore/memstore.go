package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Store implements store.Store, store.Index and store.Importer.
type Store struct {
	mu      sync.Mutex
	records map[session.ID]store.Record
	tombs   map[session.ID]store.Tombstone
	due     store.DueIndex
	owners  map[string]bool          // whose attempts began in this incarnation
	leases  map[session.ID]time.Time // until when an open attempt's owner counts as alive; nil: as owners say
	now     func() time.Time
}

// New returns an empty store on the wall clock.
func New() *Store { return NewAt(time.Now) }

// NewAt returns an empty store on another clock.
func NewAt(now func() time.Time) *Store {
	return &Store{
		now:     now,
		records: make(map[session.ID]store.Record),
		tombs:   make(map[session.ID]store.Tombstone),
		owners:  make(map[string]bool),
	}
}

// NewShared returns an empty store for owners that cannot know of each other's
// end, as replicas over one server: an attempt's owner is alive until its lease
// has run out and its deadline is over by two seconds. For tests of such owners.
func NewShared(now func() time.Time) *Store {
	s := NewAt(now)
	s.leases = make(map[session.ID]time.Time)
	return s
}

// Restarted returns a new incarnation over a copy of the same records, as a
// process that was killed and started again would find them. The old one goes
// on by itself and shares nothing with it.
func (s *Store) Restarted() *Store { return s.RestartedAt(s.now) }

// RestartedAt is Restarted on another clock.
func (s *Store) RestartedAt(now func() time.Time) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := NewAt(now)
	next.records = maps.Clone(s.records)
	next.tombs = maps.Clone(s.tombs)
	for id, r := range next.records {
		r.Used = s.due.Used(id)
		next.due.Put(r)
	}
	return next
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, ses session.Session) error {
	if err := live(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.tombs[ses.ID]; ok {
		return session.ErrExists
	}
	if _, ok := s.records[ses.ID]; ok {
		return session.ErrExists
	}
	s.put(store.NewRecord(ses))
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id session.ID) (store.Record, error) {
	if err := live(ctx); err != nil {
		return store.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(id)
}

// step applies one transition to a live session. With an error the record stays.
func (s *Store) step(ctx context.Context, id session.ID, next func(store.Record) (store.Record, error)) error {
	if err := live(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.get(id)
	if err != nil {
		return err
	}
	if r, err = next(r); err != nil {
		return err
	}
	s.put(r)
	return nil
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	err = s.step(ctx, id, func(before store.Record) (store.Record, error) {
		alive := before.Attempt != nil && s.alive(*before.Attempt)
		var stepErr error
		if r, a, stepErr = before.Begin(rev, in, s.now(), alive); stepErr == nil {
			s.owners[in.Owner] = true
			s.lease(id, max(in.Lease, in.Deadline+2*time.Second))
		}
		return r, stepErr
	})
	return r, a, err
}

func (s *Store) alive(a store.Attempt) bool {
	if s.leases == nil {
		return s.owners[a.Owner]
	}
	return s.now().Before(s.leases[a.SessionID])
}

// lease keeps the owner of the open attempt alive for d, at least.
func (s *Store) lease(id session.ID, d time.Duration) {
	if s.leases != nil {
		s.leases[id] = session.Later(s.leases[id], s.now().Add(d))
	}
}

// Extend implements store.Store.
func (s *Store) Extend(ctx context.Context, a store.Attempt, lease time.Duration) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, error) {
		if !r.Holds(a) {
			return r, session.ErrMoved
		}
		s.lease(a.SessionID, lease)
		return r, nil
	})
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, error) {
		r, _, err := r.Commit(a, next) // done before: r is as it was
		return r, err
	})
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	return s.step(ctx, a.SessionID, func(r store.Record) (store.Record, error) { return r.Fail(a, f) })
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	if err := live(ctx); err != nil {
		return session.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.tombs[id]; ok {
		return session.Session{}, nil
	}
	r, err := s.get(id)
	if err != nil {
		return session.Session{}, err
	}
	if err := r.MayEnd(only); err != nil {
		return session.Session{}, err
	}
	delete(s.records, id)
	s.due.Delete(id)
	s.tombs[id] = r.Tombstone(why, only, s.now())
	return r.Session, nil
}

func (s *Store) get(id session.ID) (store.Record, error) {
	if t, ok := s.tombs[id]; ok {
		return store.Record{}, t.Err()
	}
	r, ok := s.records[id]
	if !ok {
		return store.Record{}, session.ErrNotFound
	}
	r.Used = s.due.Used(id)
	return unshared(r), nil
}

func (s *Store) put(r store.Record) {
	s.records[r.Session.ID] = unshared(r)
	s.due.Put(r)
}

// unshared is r with its own map, history and attempt. Records cross the store's border
// as values, in and out: whatever a caller does to one stays the caller's.
func unshared(r store.Record) store.Record {
	r.Session.Identity.Claims = maps.Clone(r.Session.Identity.Claims)
	r.History = slices.Clone(r.History)
	if r.Attempt != nil {
		open := *r.Attempt
		r.Attempt = &open
	}
	return r
}

// live is ErrUnavailable when ctx is over. The caller's cause stays out of it: one
// that is a sentinel would pass for an answer of the store.
func live(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	return nil
}
