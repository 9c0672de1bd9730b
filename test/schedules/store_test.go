package schedules

import (
	"context"
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
)

// storeOf is the store as one engine reaches it.
type storeOf struct {
	*memstore.Store
	engine *engine
}

// do makes one step of the store when the schedule lets it. It has effect under
// the world's lock, so that the watch sees every state.
func (s storeOf) do(ctx context.Context, what string, step func() error, verdicts ...verdict) error {
	e := s.engine
	v := e.hold(ctx, what, verdicts...)
	w := e.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if v == gone || v == late || w.down || e.dead {
		return errDown
	}
	err := step()
	if v == twice {
		if again := step(); (again == nil) != (err == nil) || session.Gone(again) != session.Gone(err) {
			w.wrongf("%s made again says %v, the first time %v", what, again, err)
		}
	}
	w.watch()
	if v == lose {
		return errDown
	}
	return err
}

// Get implements store.Store. A read changes nothing, so it is not held.
func (s storeOf) Get(ctx context.Context, id session.ID) (store.Record, error) {
	s.engine.awake()
	w := s.engine.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || s.engine.dead {
		return store.Record{}, errDown
	}
	return s.Store.Get(ctx, id)
}

// Begin implements store.Store. Its reply is held too: a process may be stopped
// just before it writes the request.
func (s storeOf) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	s.engine.awake()
	w := s.engine.world
	if r, busy := w.busy(s.engine); busy { // a read that changes nothing: no schedule depends on it
		return r, store.Attempt{}, session.ErrBusy
	}
	err = s.do(ctx, "Begin", func() (err error) {
		r, a, err = w.begin(ctx, id, rev, in)
		return err
	}, lose, twice)
	if err != nil {
		if errors.Is(err, session.ErrUnavailable) {
			return store.Record{}, store.Attempt{}, err
		}
		return r, a, err
	}
	w.mu.Lock()
	s.engine.begun = begun{a, r}
	w.mu.Unlock()
	if s.engine.hold(context.Background(), "reply to Begin") == gone {
		return store.Record{}, store.Attempt{}, errDown
	}
	return r, a, nil
}

// Extend implements store.Store.
func (s storeOf) Extend(ctx context.Context, a store.Attempt, d time.Duration) error {
	return s.do(ctx, "Extend", func() error { return s.Store.Extend(ctx, a, d) })
}

// Commit implements store.Store.
func (s storeOf) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	err := s.do(ctx, "Commit", func() error { return s.engine.world.commit(ctx, a, next) }, lose, twice)
	if !errors.Is(err, session.ErrUnavailable) {
		w := s.engine.world
		w.mu.Lock()
		defer w.mu.Unlock()
		w.settled(s.engine, next, err)
	}
	return err
}

// Fail implements store.Store.
func (s storeOf) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	return s.do(ctx, "Fail", func() error { return s.engine.world.fail(ctx, a, f) }, lose)
}

// End implements store.Store.
func (s storeOf) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (last session.Session, err error) {
	err = s.do(ctx, "End", func() (err error) {
		ended, err := s.engine.world.end(ctx, s.engine, why, only)
		if last.Revision == 0 { // made again, it has nothing to return
			last = ended
		}
		return err
	}, lose, twice)
	if err != nil {
		return session.Session{}, err
	}
	return last, nil
}

// Due implements store.Index.
func (s storeOf) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	s.engine.awake()
	w := s.engine.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || s.engine.dead {
		return nil, time.Time{}, errDown
	}
	return s.Store.Due(ctx, before, usedSince, limit)
}

// The steps of the store, each with the flaws it may have. The caller holds the
// lock.

func (w *world) begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (store.Record, store.Attempt, error) {
	r, a, err := w.mem.Begin(ctx, id, rev, in)
	cleared := w.flaw == failClearsDoubt && w.failed == r.Session.Revision
	if r.ReplayAt.After(time.Now()) && (w.flaw == forcePassesReplayAt && in.Force || cleared) {
		w.shift = time.Until(r.ReplayAt)
		r, a, err = w.mem.Begin(ctx, id, rev, in)
		w.shift = 0
	}
	if cleared {
		a.InDoubt = false
	}
	return r, a, err
}

// busy tells that Begin can only find the attempt of an owner that lives.
func (w *world) busy(e *engine) (store.Record, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.mem.Get(context.Background(), w.id)
	return r, err == nil && !w.down && !e.dead && r.Attempt != nil && r.Attempt.Owner != e.owner && time.Since(r.Attempt.Began) < ownerDead
}

func (w *world) commit(ctx context.Context, a store.Attempt, next session.Session) error {
	err := w.mem.Commit(ctx, a, next)
	if r, getErr := w.mem.Get(ctx, w.id); w.flaw == commitWithoutCompare && err != nil && getErr == nil {
		a.Revision, next.Revision = r.Session.Revision, r.Session.Revision+1
		err = w.mem.Commit(ctx, a, next)
	}
	return err
}

func (w *world) fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	err := w.mem.Fail(ctx, a, f)
	if err == nil {
		w.failed = a.Revision
	}
	return err
}

func (w *world) end(ctx context.Context, e *engine, why session.Reason, only store.Cond) (session.Session, error) {
	before, _ := w.mem.Get(ctx, w.id)
	asked := only
	if w.flaw == noFenceInEnd && only.Attempt != nil {
		only = store.Cond{}
	}
	last, err := w.mem.End(ctx, w.id, why, only)
	if err == nil && last.Revision != 0 {
		w.ended(e, before, why, asked)
	}
	return last, err
}
