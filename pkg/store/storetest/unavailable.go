package storetest

import (
	"context"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func errorChecks() []check {
	all := []check{{"Errors/only one of the sentinels leaves a store", errorsSentinels}}
	for _, m := range methods() {
		all = append(all, check{"Errors/" + m.name + " with a context that is over is ErrUnavailable", m.over})
	}
	return all
}

// method calls one method on a session that is there, with a under way.
type method struct {
	name string
	call func(context.Context, Full, session.Session, store.Attempt) error
}

func methods() []method {
	return []method{
		{"Create", func(ctx context.Context, f Full, _ session.Session, _ store.Attempt) error {
			return f.Create(ctx, newSession())
		}},
		{"Get", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			_, err := f.Get(ctx, s.ID)
			return err
		}},
		{"Begin", func(ctx context.Context, f Full, s session.Session, a store.Attempt) error {
			_, _, err := f.Begin(ctx, s.ID, 0, store.Intent{AttemptID: a.ID, Owner: a.Owner})
			return err
		}},
		{"Extend", func(ctx context.Context, f Full, _ session.Session, a store.Attempt) error {
			return f.Extend(ctx, a, time.Minute)
		}},
		{"Commit", func(ctx context.Context, f Full, s session.Session, a store.Attempt) error {
			return f.Commit(ctx, a, renewed(s))
		}},
		{"Fail", func(ctx context.Context, f Full, _ session.Session, a store.Attempt) error {
			return f.Fail(ctx, a, session.Failure{Class: session.Transient})
		}},
		{"End", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			_, err := f.End(ctx, s.ID, session.ReasonLogout, store.Cond{})
			return err
		}},
		{"Due", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			_, _, err := f.Due(ctx, s.SweepAt, time.Time{}, 1)
			return err
		}},
		{"Touch", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			return f.Touch(ctx, map[session.ID]time.Time{s.ID: s.SweepAt})
		}},
		{"Find", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			_, err := f.Find(ctx, subjectOf(s))
			return err
		}},
		{"Reap", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			_, err := f.Reap(ctx, s.CreatedAt, s.CreatedAt, 1)
			return err
		}},
		{"List", func(ctx context.Context, f Full, _ session.Session, _ store.Attempt) error {
			_, _, err := f.List(ctx, "", 1)
			return err
		}},
		{"Import", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			return f.Import(ctx, store.NewRecord(s))
		}},
		{"Bury", func(ctx context.Context, f Full, s session.Session, _ store.Attempt) error {
			return f.Bury(ctx, s.ID, store.Tombstone{Reason: session.ReasonLogout, At: s.CreatedAt, Until: s.EndsAt})
		}},
	}
}

func (m method) over(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	cancelled, cancel := context.WithCancel(p.ctx)
	cancel()
	p.is(m.name+", cancelled", m.call(cancelled, p.s, s, a), session.ErrUnavailable)
	late, cancel := context.WithDeadline(p.ctx, time.Now().Add(-time.Second))
	defer cancel()
	p.is(m.name+", past its deadline", m.call(late, p.s, s, a), session.ErrUnavailable)
	cause, because := context.WithCancelCause(p.ctx)
	because(session.ErrEnded) // a cause of the caller's must not pass for an answer of the store's
	err := m.call(cause, p.s, s, a)
	p.is(m.name+", cancelled with a cause", err, session.ErrUnavailable)
}

// errorsSentinels calls every method where it has to refuse; watched looks at
// what comes.
func errorsSentinels(p *probe) {
	missing := newSession()
	never := store.Attempt{ID: newAttemptID(), SessionID: missing.ID, Revision: 1}
	live, ended := p.create(), p.create()
	a, old := p.begin(live.ID), p.begin(ended.ID)
	p.end(ended.ID, session.ReasonLogout)
	moved := a
	moved.ID[0]++
	for _, m := range methods() {
		if m.name == "Create" {
			p.is("Create of what is there", p.s.Create(p.ctx, live), session.ErrExists)
			continue
		}
		_ = m.call(p.ctx, p.s, missing, never)
		_ = m.call(p.ctx, p.s, ended, old)
		if m.name != "End" && m.name != "Bury" {
			_ = m.call(p.ctx, p.s, live, moved)
		}
	}
	p.refuse("Begin of another revision", live.ID, 9, p.intent(time.Hour), session.ErrMoved)
}
