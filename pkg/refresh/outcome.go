package refresh

import (
	"context"
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// commit makes next the current revision. Until the store has acknowledged it
// the waiters and readers get the new access token, and the flight keeps its
// place so that nobody uses the new refresh token.
func (r *Refresher) commit(f *flight, rec store.Record, a store.Attempt, next session.Session) {
	renewed, _, err := rec.Commit(a, next)
	if err != nil { // the store handed out an attempt on another revision
		r.adopt(f)
		return
	}
	err = r.settle(
		func() { f.answer(r.opts.Cache.Publish(renewed), nil) },
		func(ctx context.Context) error { return r.opts.Store.Commit(ctx, a, next) },
	)
	switch {
	case err == nil:
		r.opts.Metrics.success.Inc()
		f.answer(r.opts.Cache.Publish(renewed), nil)
		r.opts.Log.Debug("token refreshed", "session", f.id, "revision", uint64(next.Revision), "by", f.by, "access_token_life", next.Token.Lifetime)
		r.Kick()
	case errors.Is(err, session.ErrMoved):
		r.adopt(f)
	case session.Gone(err):
		// Logged out while the provider was answering: the new tokens must not outlive the session.
		r.opts.Sessions.Revoke(next)
		r.forget(f, err)
	default:
		f.answer(r.opts.Cache.Publish(renewed), nil) // the access token is good for as long as it lives
		r.opts.Log.Error("renewed tokens were not stored before the stop", "session", f.id, "error", err)
	}
}

// apply carries out an effect; the waiters share it.
func (r *Refresher) apply(f *flight, rec store.Record, a store.Attempt, e effect) {
	outcome := session.ErrEnded
	if e.end == "" {
		outcome = &session.RefreshError{Class: e.failure.Class, RetryAt: session.Later(e.failure.NotBefore, e.failure.ReplayAt)}
	}
	err := r.settle(
		func() { f.answer(nil, outcome) },
		func(ctx context.Context) error {
			if e.end == "" {
				return r.opts.Store.Fail(ctx, a, e.failure)
			}
			_, err := r.opts.Sessions.EndIf(ctx, f.id, e.end, store.Cond{Attempt: &a})
			return err
		},
	)
	switch {
	case err == nil:
		if failed, failErr := rec.Fail(a, e.failure); e.end == "" && failErr == nil {
			r.opts.Cache.Publish(failed)
		}
		f.answer(nil, outcome)
		r.Kick()
	case errors.Is(err, session.ErrMoved):
		r.adopt(f)
	case session.Gone(err):
		r.forget(f, err)
	default:
		f.answer(nil, outcome)
		r.opts.Log.Error("refresh outcome was not stored before the stop", "session", f.id, "error", err)
	}
}

// notBegun answers when no POST may be made. rec is the record as Begin met it.
func (r *Refresher) notBegun(f *flight, rec store.Record, err error) {
	switch {
	case errors.Is(err, session.ErrMoved):
		r.adopt(f)
	case errors.Is(err, session.ErrNotYet):
		if rec.Attempt != nil { // of an owner that died: to readers that is a doubt
			rec.InDoubt, rec.Attempt = true, nil
		}
		class := rec.LastClass
		if rec.InDoubt {
			class = session.Unknown
		}
		v := r.opts.Cache.Publish(rec)
		f.answer(nil, &session.RefreshError{Class: class, RetryAt: v.NotBefore})
	case session.Gone(err):
		r.forget(f, err)
	case errors.Is(err, session.ErrBusy):
		f.answer(nil, r.notNow())
	default:
		f.answer(nil, err)
	}
}

// notNow is the refusal when another process has the attempt: ask again.
func (r *Refresher) notNow() error { return paused(r.opts.Now().Add(time.Second)) }

// paused is the refusal while the gate is shut.
func paused(until time.Time) error {
	return &session.RefreshError{Class: session.Transient, RetryAt: until}
}

// adopt takes over what another winner has stored. If nobody has won yet, the
// attempt was only taken from us: the old token is no answer to who waits for a
// new one.
func (r *Refresher) adopt(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rec, err := r.opts.Store.Get(ctx, f.id)
	switch {
	case err == nil && rec.Session.Revision <= f.rev:
		r.opts.Cache.Publish(rec)
		f.answer(nil, r.notNow())
	case err == nil:
		f.answer(r.opts.Cache.Publish(rec), nil)
	case session.Gone(err):
		r.forget(f, err)
	default:
		f.answer(nil, err)
	}
}

func (r *Refresher) forget(f *flight, err error) {
	r.opts.Cache.Forget(f.id)
	f.answer(nil, err)
}
