package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func extendChecks() []check {
	return []check{
		{"Extend/of the open attempt is nil", extendOpen},
		{"Extend/keeps the owner alive", extendKeepsAlive},
		{"Extend/of an old attempt is ErrMoved without effect", extendOld},
		{"Extend/of a missing session is ErrNotFound", extendMissing},
	}
}

func extendOpen(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	p.unchanged("Extend", s.ID, func() { p.ok("Extend", p.s.Extend(p.ctx, a, time.Minute)) })
}

func extendKeepsAlive(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	for range 3 {
		p.ok("Extend", p.s.Extend(p.ctx, a, 3*time.Minute))
		p.b.Sleep(2 * time.Minute)
	}
	p.refuse("Begin over an attempt that was extended", s.ID, 0, p.intent(time.Hour), session.ErrBusy)
}

// old calls f with every kind of attempt that is not the open one.
func (p *probe) old(f func(what string, a store.Attempt)) {
	p.Helper()
	s := p.create()
	failed := p.begin(s.ID)
	p.fail(failed, session.Failure{Class: session.Transient})
	f("an attempt that failed", failed)
	committed := p.begin(s.ID)
	f("an older attempt under an open one", failed)
	p.commit(committed, renewed(s))
	f("an attempt that was committed", committed)
	p.begin(s.ID)
	f("an attempt at an older revision", committed)
	never := store.Attempt{ID: newAttemptID(), SessionID: s.ID}
	f("an attempt that never was", never)
}

func extendOld(p *probe) {
	p.old(func(what string, a store.Attempt) {
		p.unchanged("Extend of "+what, a.SessionID, func() {
			p.is("Extend of "+what, p.s.Extend(p.ctx, a, time.Minute), session.ErrMoved)
		})
	})
}

func extendMissing(p *probe) {
	a := store.Attempt{ID: newAttemptID(), SessionID: newSession().ID}
	p.is("Extend on a session that never was", p.s.Extend(p.ctx, a, time.Minute), session.ErrNotFound)
}
