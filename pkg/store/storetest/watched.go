package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// watched is the store under test with an eye on every error that leaves it.
type watched struct {
	Full
	t testing.TB
}

// see expects err to be nil or exactly one of the sentinels: a caller decides
// by errors.Is, and an error that is two things at once has no decision.
func (w *watched) see(method string, err error) {
	if err == nil {
		return
	}
	w.t.Helper()
	is := 0
	for _, s := range []error{
		session.ErrNotFound, session.ErrExists, session.ErrEnded, session.ErrMoved,
		session.ErrBusy, session.ErrNotYet, session.ErrUnavailable,
	} {
		if errors.Is(err, s) {
			is++
		}
	}
	if is != 1 {
		w.t.Errorf("%s: error %q is %d of the sentinels, want 1", method, err, is)
	}
	if _, ok := errors.AsType[*session.EndedError](err); !ok && errors.Is(err, session.ErrEnded) {
		w.t.Errorf("%s: ErrEnded without reason and time", method)
	}
}

func (w *watched) Create(ctx context.Context, s session.Session) error {
	err := w.Full.Create(ctx, s)
	w.see("Create", err)
	return err
}

func (w *watched) Get(ctx context.Context, id session.ID) (store.Record, error) {
	r, err := w.Full.Get(ctx, id)
	w.see("Get", err)
	return r, err
}

func (w *watched) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (store.Record, store.Attempt, error) {
	r, a, err := w.Full.Begin(ctx, id, rev, in)
	w.see("Begin", err)
	return r, a, err
}

func (w *watched) Extend(ctx context.Context, a store.Attempt, lease time.Duration) error {
	err := w.Full.Extend(ctx, a, lease)
	w.see("Extend", err)
	return err
}

func (w *watched) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	err := w.Full.Commit(ctx, a, next)
	w.see("Commit", err)
	return err
}

func (w *watched) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	err := w.Full.Fail(ctx, a, f)
	w.see("Fail", err)
	return err
}

func (w *watched) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	s, err := w.Full.End(ctx, id, why, only)
	w.see("End", err)
	return s, err
}

func (w *watched) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	page, next, err := w.Full.Due(ctx, before, usedSince, limit)
	w.see("Due", err)
	return page, next, err
}

func (w *watched) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	err := w.Full.Touch(ctx, used)
	w.see("Touch", err)
	return err
}

func (w *watched) Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error) {
	ids, err := w.Full.Find(ctx, k)
	w.see("Find", err)
	return ids, err
}

func (w *watched) List(ctx context.Context, after store.Cursor, limit int) ([]session.ID, store.Cursor, error) {
	ids, next, err := w.Full.List(ctx, after, limit)
	w.see("List", err)
	return ids, next, err
}

func (w *watched) Import(ctx context.Context, r store.Record) error {
	err := w.Full.Import(ctx, r)
	w.see("Import", err)
	return err
}

func (w *watched) Bury(ctx context.Context, id session.ID, t store.Tombstone) error {
	err := w.Full.Bury(ctx, id, t)
	w.see("Bury", err)
	return err
}

func (w *watched) Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error) {
	ids, err := w.Full.Reap(ctx, now, unusedSince, limit)
	w.see("Reap", err)
	return ids, err
}
