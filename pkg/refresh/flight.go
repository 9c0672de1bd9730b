package refresh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Who opened a flight, for the log and the history.
const (
	byRequest  = "request"
	bySweep    = "sweep"
	byOperator = "operator"
	byRestore  = "restore"
)

const (
	busyPoll     = 100 * time.Millisecond // doubling to busyPollMax, while another process has the attempt
	busyPollMax  = 500 * time.Millisecond
	retryMin     = 50 * time.Millisecond // doubling to retryMax, while the store does not acknowledge
	retryMax     = time.Second
	storeTimeout = 5 * time.Second // of one call to the store outside a flight's deadline

	// A store that hangs keeps waiters no longer than this from an outcome that is known.
	lateAfter = 250 * time.Millisecond
)

// flight is one refresh under way in this process. answered is closed once view
// and err are final for the waiters; the flight may still be in the map then,
// because the store has not acknowledged the outcome yet.
type flight struct {
	id       session.ID
	by       string
	rev      session.Revision // to be replaced; the flight's own
	set      *Settings        // from when it begins to its end: its deadline is the one that others are told
	answered chan struct{}
	once     sync.Once
	view     *session.View
	err      error

	// The Refresher's lock guards these.
	waiters  int
	jitter   *time.Timer   // before it begins; nil: none
	queued   bool          // waits for a slot
	deserted chan struct{} // closed when the last waiter leaves a queued flight
}

func newFlight(id session.ID, by string) *flight {
	return &flight{id: id, by: by, answered: make(chan struct{}), deserted: make(chan struct{})}
}

// refused is a flight that never was.
func refused(id session.ID, why error) *flight {
	f := newFlight(id, "")
	f.answer(nil, why)
	return f
}

// stale tells that f has answered with a token that has expired since: the store
// has been down for so long.
func (f *flight) stale(now time.Time) bool {
	select {
	case <-f.answered:
		return f.view != nil && !now.Before(f.view.Window.Exp)
	default:
		return false
	}
}

// answer gives every waiter the outcome; only the first call counts.
func (f *flight) answer(v *session.View, err error) {
	f.once.Do(func() {
		f.view, f.err = v, err
		close(f.answered)
	})
}

// fly makes the one attempt. v is what the caller saw; nil makes the flight
// read the store. The caller has taken a slot and the flight's place in the map.
func (r *Refresher) fly(f *flight, v *session.View) {
	r.opts.Metrics.inFlight.Inc()
	release := sync.OnceFunc(func() { r.opts.Metrics.inFlight.Dec(); <-r.slots })
	defer release()
	f.set = r.settings()
	started := r.opts.Now()
	permit, until := r.gate.enter(started)
	if permit == nil {
		f.answer(nil, paused(until))
		return
	}
	defer permit.tell(errNoRequest)
	posted := false
	defer func() {
		if posted {
			return // recovered, below, knows what to do
		}
		if recover() != nil { // an attempt left open by it counts as never sent, which is true
			r.opts.Log.Error("token refresh panicked before its request", "session", f.id, "stack", string(debug.Stack()))
			f.answer(nil, fmt.Errorf("refresh session: %w", session.ErrUnavailable))
		}
	}()
	// A flight belongs to no caller: nobody's hang-up may cancel a POST that spends a token.
	ctx, cancel := newBudget(f.set.Deadline)
	defer cancel()

	rec, a, err := r.begin(ctx, f, v)
	if err == nil {
		err = r.confirm(ctx, f, a)
	}
	if err != nil {
		r.notBegun(f, rec, err)
		return
	}
	if rec.Lost != 0 && v != nil && v.Session.Revision >= rec.Lost { // what the token was spent for is not lost
		r.restore(f, rec, a, v)
		return
	}
	if a.InDoubt && f.set.Profile.Replay == session.ReplayNever { // to the session, the same as one without an answer
		r.apply(f, rec, a, r.effectOf(f, session.Answer{Class: session.Unknown, Sent: true}, rec, a))
		return
	}
	if f.set.Profile.EndsAccess {
		r.opts.Cache.Publish(rec) // from now on readers wait
	}
	defer r.recovered(f, rec, a)
	defer release() // before the recovery, which may have to wait for the store
	posted = true
	ans := r.opts.Provider.Refresh(ctx, rec.Session)
	if r.gate.learn(permit, ans) {
		r.ramp()
	}
	release()
	r.land(f, rec, a, ans, started)
}

// land does what the answer asks for.
func (r *Refresher) land(f *flight, rec store.Record, a store.Attempt, ans session.Answer, started time.Time) {
	if ans.Class == session.Renewed {
		r.opts.Metrics.latency.Observe(r.opts.Now().Sub(started).Seconds())
		r.commit(f, rec, a, rec.Session.Renew(ans.Grant, f.set.Policy))
		return
	}
	r.opts.Metrics.failed.WithLabelValues(ans.Class.String()).Inc()
	r.opts.Log.Log(context.Background(), level(ans.Class), "token refresh failed", "session", f.id, "class", ans.Class.String(), "sent", ans.Sent,
		"by", f.by, "failures", rec.Failures+1, "in_doubt", a.InDoubt, "retry_after", ans.RetryAfter, "error", ans.Err)
	r.apply(f, rec, a, r.effectOf(f, ans, rec, a))
}

// level is louder for what does not heal without an operator.
func level(c session.Class) slog.Level {
	switch c {
	case session.Misconfigured, session.Refused, session.Foreign:
		return slog.LevelError
	default:
		return slog.LevelWarn
	}
}

// recovered makes a panic after Begin what it is to the session: a request that
// may have been sent. Left open, the attempt would look as if it never was.
func (r *Refresher) recovered(f *flight, rec store.Record, a store.Attempt) {
	if recover() == nil {
		return
	}
	r.opts.Log.Error("token refresh panicked", "session", f.id, "stack", string(debug.Stack()))
	r.opts.Metrics.failed.WithLabelValues(session.Unknown.String()).Inc()
	r.apply(f, rec, a, r.effectOf(f, session.Answer{Class: session.Unknown, Sent: true}, rec, a))
}

func (r *Refresher) effectOf(f *flight, ans session.Answer, rec store.Record, a store.Attempt) effect {
	now, w := r.opts.Now(), f.set.Policy.Window(rec.Session)
	return effectOf(f.set.Profile, ans, a, w, now, backoff(rec.Failures+1, now, w.Exp))
}

// begin opens the attempt. The flight map makes this flight the only one of its
// session in this process, so an open attempt of this very incarnation is one
// whose Begin was given up before a POST: it is closed as not sent.
func (r *Refresher) begin(ctx budget, f *flight, v *session.View) (store.Record, store.Attempt, error) {
	now := r.opts.Now()
	if v == nil {
		rec, err := r.opts.Store.Get(ctx, f.id)
		if err != nil {
			return rec, store.Attempt{}, err
		}
		if f.by == byOperator {
			if now.Before(coolUntil(rec.Session.Token)) {
				return rec, store.Attempt{}, session.ErrMoved // what was asked for has just been done
			}
			f.rev = rec.Session.Revision
		}
		v = &session.View{Session: rec.Session, InDoubt: rec.InDoubt || rec.Attempt != nil}
	}
	if err := refreshable(v.Session, now); err != nil {
		return store.Record{}, store.Attempt{}, err
	}
	in := store.Intent{
		Owner: r.opts.Owner, Lease: f.set.Lease, Deadline: f.set.Deadline, By: f.by, Force: f.by == byOperator,
		ReplayAt: replayAt(f.set.Profile, f.set.Policy.Window(v.Session), now, backoff(1, now, v.Session.Token.Exp()), v.InDoubt),
	}
	_, _ = rand.Read(in.AttemptID[:])
	for poll := busyPoll; ; poll = min(2*poll, busyPollMax) {
		rec, a, err := r.opts.Store.Begin(ctx, f.id, f.rev, in)
		switch {
		case errors.Is(err, session.ErrUnavailable): // the intent may be written all the same
			r.giveUp(f, store.Attempt{ID: in.AttemptID, SessionID: f.id}, err)
			return rec, a, err
		case !errors.Is(err, session.ErrBusy):
			return rec, a, err
		case rec.Attempt.Owner == r.opts.Owner:
			err := r.opts.Store.Fail(ctx, *rec.Attempt, session.Failure{})
			if err != nil && !errors.Is(err, session.ErrMoved) {
				return rec, a, err
			}
		case !pause(ctx, poll):
			return rec, a, err
		}
	}
}

// confirm holds a replay back: it gives a winner that is cut off from the store
// one commit-retry period to come back, and asks whether it did.
func (r *Refresher) confirm(ctx budget, f *flight, a store.Attempt) error {
	var err error
	if a.InDoubt {
		if pause(ctx, retryMax) {
			err = r.opts.Store.Extend(ctx, a, f.set.Lease)
		}
	}
	if err == nil && ctx.over() {
		err = fmt.Errorf("begin refresh: deadline: %w", session.ErrUnavailable)
	}
	if errors.Is(err, session.ErrUnavailable) {
		r.giveUp(f, a, err)
	}
	return err
}

// giveUp tells the store that an attempt was never sent. The waiters need not
// wait for that, but the flight stays until the store knows.
func (r *Refresher) giveUp(f *flight, a store.Attempt, why error) {
	f.answer(nil, why)
	_ = r.settle(func() {}, func(ctx context.Context) error {
		return r.opts.Store.Fail(ctx, a, session.Failure{})
	})
}

// settle repeats op until the store has given a final word, or until Stop, which
// grants one more try. late is called, once, when the word is late in coming.
func (r *Refresher) settle(late func(), op func(context.Context) error) error {
	late = sync.OnceFunc(late)
	hung := time.AfterFunc(lateAfter, late)
	defer func() {
		if !hung.Stop() {
			late() // may be running: wait for it
		}
	}()
	for wait := time.Duration(0); ; wait = min(max(retryMin, 2*wait), retryMax) {
		stopping := !r.idle(wait)
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		err := op(ctx)
		cancel()
		if !errors.Is(err, session.ErrUnavailable) || stopping {
			return err
		}
		late()
	}
}

// idle waits d; false says that Stop has been called.
func (r *Refresher) idle(d time.Duration) bool { return wait(r.stopping, d) }

// pause waits d unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool { return wait(ctx.Done(), d) }

// wait waits d, and tells whether it passed before done. What is not to wait
// takes no timer.
func wait(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
