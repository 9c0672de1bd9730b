package refresh

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Restore stores the newest tokens of a session once more, which a failover has
// lost: newer is remembered, left is what the store has. It never blocks. It is a
// Commit that comes late: it opens no attempt, asks no provider, and holds only if
// nobody else has stored anything. A flight under way knows better.
func (r *Refresher) Restore(left store.Record, newer *session.View) {
	f := newFlight(newer.Session.ID, byRestore)
	f.rev = left.Session.Revision
	a := store.Attempt{SessionID: f.id, Revision: f.rev, Began: r.opts.Now(), By: f.by}
	_, _ = rand.Read(a.ID[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.flights[f.id] != nil {
		return
	}
	r.flights[f.id] = f
	r.running.Go(func() {
		defer r.leave(f)
		r.restore(f, left, a, newer)
	})
}

func (r *Refresher) restore(f *flight, left store.Record, a store.Attempt, newer *session.View) {
	next := newer.Session
	next.Revision = a.Revision + 1 // of those between nothing is left
	restored, _, err := left.Commit(a, next)
	if err == nil {
		err = r.settle(func() {}, func(ctx context.Context) error { return r.opts.Store.Commit(ctx, a, next) })
	}
	switch {
	case err == nil:
		f.answer(r.opts.Cache.Publish(restored), nil)
		r.opts.Metrics.restored.Inc()
		r.opts.Log.Debug("the store had lost the newest revision of a session, it was stored again", "session", f.id, "revision", uint64(next.Revision))
		r.Kick()
	case errors.Is(err, session.ErrMoved):
		r.adopt(f)
	case session.Gone(err):
		r.forget(f, err)
	default:
		f.answer(nil, err)
	}
}
