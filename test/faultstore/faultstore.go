package faultstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Op names a method of the store.
type Op string

// The methods a Rule can stand before.
const (
	Create Op = "create"
	Get    Op = "get"
	Begin  Op = "begin"
	Extend Op = "extend"
	Commit Op = "commit"
	Fail   Op = "fail"
	End    Op = "end"
	Due    Op = "due"
	Touch  Op = "touch"
	Find   Op = "find"
	Lookup Op = "lookup"
	List   Op = "list"
	Reap   Op = "reap"
)

// Backend is what is wrapped.
type Backend interface {
	store.Store
	store.Index
}

// Rule decides about one call: through makes it, under the context it is given,
// and returns its error. A result of a call that the rule answers with
// ErrUnavailable is thrown away.
type Rule func(ctx context.Context, through func(context.Context) error) error

// Store is safe for concurrent use.
type Store struct {
	inner Backend

	mu    sync.Mutex
	rules map[Op]Rule
	calls map[Op]int
}

// New wraps inner; without rules it is inner.
func New(inner Backend) *Store {
	return &Store{inner: inner, rules: make(map[Op]Rule), calls: make(map[Op]int)}
}

// Set puts rule before every later call of ops.
func (s *Store) Set(rule Rule, ops ...Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		s.rules[op] = rule
	}
}

// Mend takes the rules of ops away; without ops, all.
func (s *Store) Mend(ops ...Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ops) == 0 {
		clear(s.rules)
	}
	for _, op := range ops {
		delete(s.rules, op)
	}
}

// Calls counts the calls of op so far, refused ones too.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *Store) do(ctx context.Context, op Op, through func(context.Context) error) error {
	s.mu.Lock()
	s.calls[op]++
	rule := s.rules[op]
	s.mu.Unlock()
	if rule == nil {
		return through(ctx)
	}
	return rule(ctx, through)
}

var errDown = fmt.Errorf("%w: as the test wants it", session.ErrUnavailable)

// Down refuses a call before it takes effect.
func Down(context.Context, func(context.Context) error) error { return errDown }

// LoseReply lets a call take effect and loses its reply.
func LoseReply(ctx context.Context, through func(context.Context) error) error {
	_ = through(ctx)
	return errDown
}

// Answer answers with err, without effect.
func Answer(err error) Rule {
	return func(context.Context, func(context.Context) error) error { return err }
}

// Times applies rule to the next n calls and lets later ones through.
func Times(n int, rule Rule) Rule {
	var mu sync.Mutex
	return func(ctx context.Context, through func(context.Context) error) error {
		mu.Lock()
		n--
		left := n
		mu.Unlock()
		if left < 0 {
			return through(ctx)
		}
		return rule(ctx, through)
	}
}

// Gate holds calls until it is opened. Make it inside the synctest bubble that
// uses it.
type Gate struct {
	opened chan struct{}
	once   sync.Once
}

// NewGate is closed.
func NewGate() *Gate { return &Gate{opened: make(chan struct{})} }

// Open lets every held and later call go on.
func (g *Gate) Open() { g.once.Do(func() { close(g.opened) }) }

// Before holds a call before its effect.
func (g *Gate) Before(ctx context.Context, through func(context.Context) error) error {
	if err := g.wait(ctx); err != nil {
		return err
	}
	return through(ctx)
}

// After holds a call's reply, behind its effect.
func (g *Gate) After(ctx context.Context, through func(context.Context) error) error {
	err := through(ctx)
	if down := g.wait(ctx); down != nil {
		return down
	}
	return err
}

func (g *Gate) wait(ctx context.Context) error {
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", session.ErrUnavailable, context.Cause(ctx))
	}
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, ses session.Session) error {
	return s.do(ctx, Create, func(ctx context.Context) error { return s.inner.Create(ctx, ses) })
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id session.ID) (rec store.Record, err error) {
	err = s.do(ctx, Get, func(ctx context.Context) (err error) { rec, err = s.inner.Get(ctx, id); return err })
	if errors.Is(err, session.ErrUnavailable) {
		return store.Record{}, err
	}
	return rec, err
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (rec store.Record, a store.Attempt, err error) {
	err = s.do(ctx, Begin, func(ctx context.Context) (err error) { rec, a, err = s.inner.Begin(ctx, id, rev, in); return err })
	if errors.Is(err, session.ErrUnavailable) {
		return store.Record{}, store.Attempt{}, err
	}
	return rec, a, err
}

// Extend implements store.Store.
func (s *Store) Extend(ctx context.Context, a store.Attempt, lease time.Duration) error {
	return s.do(ctx, Extend, func(ctx context.Context) error { return s.inner.Extend(ctx, a, lease) })
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	return s.do(ctx, Commit, func(ctx context.Context) error { return s.inner.Commit(ctx, a, next) })
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	return s.do(ctx, Fail, func(ctx context.Context) error { return s.inner.Fail(ctx, a, f) })
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (last session.Session, err error) {
	err = s.do(ctx, End, func(ctx context.Context) (err error) { last, err = s.inner.End(ctx, id, why, only); return err })
	if err != nil {
		return session.Session{}, err
	}
	return last, nil
}

// Due implements store.Index.
func (s *Store) Due(ctx context.Context, before, usedSince time.Time, limit int) (page []store.DueEntry, next time.Time, err error) {
	err = s.do(ctx, Due, func(ctx context.Context) (err error) {
		page, next, err = s.inner.Due(ctx, before, usedSince, limit)
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return page, next, nil
}

// Touch implements store.Index.
func (s *Store) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	return s.do(ctx, Touch, func(ctx context.Context) error { return s.inner.Touch(ctx, used) })
}

// Find implements store.Index.
func (s *Store) Find(ctx context.Context, k session.SubjectKey) (ids []session.ID, err error) {
	err = s.do(ctx, Find, func(ctx context.Context) (err error) { ids, err = s.inner.Find(ctx, k); return err })
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, prefix []byte, limit int) (ids []session.ID, err error) {
	err = s.do(ctx, Lookup, func(ctx context.Context) (err error) { ids, err = s.inner.Lookup(ctx, prefix, limit); return err })
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, after store.Cursor, limit int) (ids []session.ID, next store.Cursor, err error) {
	err = s.do(ctx, List, func(ctx context.Context) (err error) {
		ids, next, err = s.inner.List(ctx, after, limit)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return ids, next, nil
}

// Reap implements store.Index.
func (s *Store) Reap(ctx context.Context, now, unusedSince time.Time, limit int) (ids []session.ID, err error) {
	err = s.do(ctx, Reap, func(ctx context.Context) (err error) {
		ids, err = s.inner.Reap(ctx, now, unusedSince, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}
