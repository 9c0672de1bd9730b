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

// Who opened a flight, for the log.
const (
	byRequest = "request"
	bySweep   = "sweep"
)

const (
	busyPoll     = 100 * time.Millisecond // doubling to busyPollMax, while another process has the attempt
	busyPollMax  = 500 * time.Millisecond
	retryMin     = 50 * time.Millisecond // doubling to retryMax, while the store does not acknowledge
	retryMax     = time.Second
	storeTimeout = 5 * time.Second // of one call to the store outside a flight's deadline
)

// flight is one refresh under way in this process. answered is closed once view
// and err are final for the waiters; the flight may still be in the map then,
// because the store has not acknowledged the outcome yet.
type flight struct {
	id       session.ID
	rev      session.Revision // to be replaced
	answered chan struct{}
	once     sync.Once
	view     *session.View
	err      error
}

func newFlight(id session.ID, rev session.Revision) *flight {
	return &flight{id: id, rev: rev, answered: make(chan struct{})}
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
func (r *Refresher) fly(f *flight, v *session.View, by string) {
	r.opts.Metrics.inFlight.Inc()
	release := sync.OnceFunc(func() { r.opts.Metrics.inFlight.Dec(); <-r.slots })
	defer release()
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
	started := r.opts.Now()
	// A flight belongs to no caller: nobody's hang-up may cancel a POST that spends a token.
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.Deadline)
	defer cancel()

	rec, a, err := r.begin(ctx, f, v)
	if err == nil {
		err = r.confirm(ctx, f, a)
	}
	if err != nil {
		r.notBegun(f, rec, err)
		return
	}
	defer r.recovered(f, rec, a)
	defer release() // before the recovery, which may have to wait for the store
	posted = true
	ans := r.opts.Provider.Refresh(ctx, rec.Session)
	release()
	now := r.opts.Now()
	if ans.Class == session.Renewed {
		r.opts.Metrics.latency.Observe(now.Sub(started).Seconds())
		r.commit(f, rec, a, rec.Session.Renew(ans.Grant, r.opts.Policy), by)
		return
	}
	r.opts.Metrics.failed.WithLabelValues(ans.Class.String()).Inc()
	r.opts.Log.Log(ctx, level(ans.Class), "token refresh failed", "session", f.id, "class", ans.Class.String(), "sent", ans.Sent,
		"by", by, "failures", rec.Failures+1, "in_doubt", a.InDoubt, "error", ans.Err)
	r.apply(f, rec, a, r.effectOf(ans, rec, a))
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
	r.apply(f, rec, a, r.effectOf(session.Answer{Class: session.Unknown, Sent: true}, rec, a))
}

func (r *Refresher) effectOf(ans session.Answer, rec store.Record, a store.Attempt) effect {
	now, w := r.opts.Now(), r.opts.Policy.Window(rec.Session)
	return effectOf(ans, a, w, now, backoff(rec.Failures+1, now, w.Exp))
}

// begin opens the attempt. The flight map makes this flight the only one of its
// session in this process, so an open attempt of this very incarnation is one
// whose Begin was given up before a POST: it is closed as not sent.
func (r *Refresher) begin(ctx context.Context, f *flight, v *session.View) (store.Record, store.Attempt, error) {
	if v == nil {
		rec, err := r.opts.Store.Get(ctx, f.id)
		if err != nil {
			return rec, store.Attempt{}, err
		}
		v = &session.View{Session: rec.Session, InDoubt: rec.InDoubt || rec.Attempt != nil}
	}
	now := r.opts.Now()
	in := store.Intent{
		Owner: r.opts.Owner, Lease: r.opts.Lease, Deadline: r.opts.Deadline,
		ReplayAt: replayAt(r.opts.Policy.Window(v.Session), now, backoff(1, now, v.Session.Token.Exp()), v.InDoubt),
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
			err := r.opts.Store.Fail(ctx, *rec.Attempt, session.Failure{Class: session.Transient})
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
func (r *Refresher) confirm(ctx context.Context, f *flight, a store.Attempt) error {
	var err error
	if a.InDoubt {
		if pause(ctx, retryMax) {
			err = r.opts.Store.Extend(ctx, a, r.opts.Lease)
		}
	}
	if err == nil && ctx.Err() != nil {
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
		return r.opts.Store.Fail(ctx, a, session.Failure{Class: session.Transient})
	})
}

// settle repeats op until the store has given a final word, or until Stop, which
// grants one more try. late is called when the first try had none.
func (r *Refresher) settle(late func(), op func(context.Context) error) error {
	for wait := time.Duration(0); ; wait = min(max(retryMin, 2*wait), retryMax) {
		stopping := !r.idle(wait)
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		err := op(ctx)
		cancel()
		if !errors.Is(err, session.ErrUnavailable) || stopping {
			return err
		}
		if wait == 0 {
			late()
		}
	}
}

// idle waits d; false says that Stop has been called.
func (r *Refresher) idle(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.stopping:
		return false
	case <-t.C:
		return true
	}
}

// pause waits d unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
