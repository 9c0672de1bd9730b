package app

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

const (
	listPage   = 256
	listAtOnce = 16 // reads: over a network they share a round trip
)

// Revoke implements admin.Sessions.
func (o operator) Revoke(ctx context.Context, id session.ID) error {
	o.log.Info("operator ends a session", "session", id)
	_, err := o.life.End(ctx, id, session.ReasonRevoked)
	return told(err)
}

// RevokeAll implements admin.Crowd.
func (o operator) RevokeAll(ctx context.Context, user string) (ended int, _ error) {
	ids, err := o.store.Find(ctx, o.subject(user))
	if err != nil {
		return 0, err
	}
	o.log.Info("operator ends all sessions of a user", "sessions", len(ids))
	var failed error
	for _, id := range ids {
		last, err := o.life.End(ctx, id, session.ReasonRevoked)
		switch {
		case err != nil && !session.Gone(err):
			failed = err // the others end all the same
		case last.Revision != 0: // nobody else was faster
			ended++
		}
	}
	return ended, failed
}

func (o operator) subject(user string) session.SubjectKey {
	return session.SubjectKey{App: o.app, Provider: o.provider, Sub: user}
}

// All implements admin.Crowd.
func (o operator) All(ctx context.Context, user string) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		for ids, err := range o.pages(ctx, user) {
			if err != nil {
				yield(admin.Session{}, err)
				return
			}
			for _, v := range o.views(ctx, ids) {
				if (v.show || v.err != nil) && !yield(v.session, v.err) || v.err != nil {
					return
				}
			}
		}
	}
}

// pages are the sessions of a user, who has few, or those of the store.
func (o operator) pages(ctx context.Context, user string) iter.Seq2[[]session.ID, error] {
	return func(yield func([]session.ID, error) bool) {
		if user != "" {
			yield(o.store.Find(ctx, o.subject(user)))
			return
		}
		var after store.Cursor
		for {
			ids, next, err := o.store.List(ctx, after, listPage)
			if !yield(ids, err) || err != nil || next == "" {
				return
			}
			after = next
		}
	}
}

// view is what an operator sees of one session in a list.
type view struct {
	session admin.Session
	show    bool // it has not ended
	err     error
}

func (o operator) views(ctx context.Context, ids []session.ID) []view {
	all := make([]view, len(ids))
	var readers sync.WaitGroup
	for first := range min(listAtOnce, len(ids)) {
		readers.Go(func() {
			for i := first; i < len(ids); i += listAtOnce {
				all[i] = o.listed(ctx, ids[i])
			}
		})
	}
	readers.Wait()
	return all
}

func (o operator) listed(ctx context.Context, id session.ID) view {
	s, err := o.View(ctx, id)
	switch {
	case errors.Is(err, admin.ErrUnreadable):
		return view{session: admin.Session{ID: id.String(), State: admin.StateUnreadable, AsOf: o.now(), History: history(nil)}, show: true}
	case errors.Is(err, session.ErrNotFound):
		return view{}
	case err != nil:
		return view{err: err}
	}
	return view{session: s, show: s.Ended == nil}
}
