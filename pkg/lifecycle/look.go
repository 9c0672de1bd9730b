package lifecycle

import (
	"context"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Get reads a session from the store of record, without using it; the errors are
// the store's. A session whose time is up is session.ErrEnded, reaped or not.
func (l *Lifecycle) Get(ctx context.Context, id session.ID) (session.Session, error) {
	r, err := l.opts.Store.Get(ctx, id)
	if err != nil {
		return session.Session{}, err
	}
	if over := l.Over(r); over != nil {
		return session.Session{}, over
	}
	return r.Session, nil
}

// LastUse is when r's session was last used, as far as this process and the
// store know.
func (l *Lifecycle) LastUse(r store.Record) time.Time {
	return session.Later(l.uses.last(r.Session.ID), r.Used)
}

// Over tells that the time of r's session is up, though nobody has come round
// yet to end it.
func (l *Lifecycle) Over(r store.Record) *session.EndedError {
	now, last := l.opts.Now(), l.LastUse(r)
	switch {
	case !now.Before(r.Session.EndsAt):
		return &session.EndedError{Reason: session.ReasonAbsolute, At: r.Session.EndsAt, History: r.History}
	case last.Before(l.idleBefore(now)):
		return &session.EndedError{Reason: session.ReasonIdle, At: last.Add(l.idle()), History: r.History}
	}
	return nil
}
