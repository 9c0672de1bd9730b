package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func endChecks() []check {
	return []check{
		{"End/returns the last session, its tokens to be revoked", endReturnsLast},
		{"End/then Get, Begin, Extend, Commit and Fail are ErrEnded with reason and time", endThenEnded},
		{"End/unconditional takes an open attempt and a doubt with it", endUnconditional},
		{"End/twice is nil with a zero Session, and the first reason stays", endTwice},
		{"End/of a missing session is ErrNotFound", endMissing},
		{"End/is durable when it returns", endIsDurable},
		{"End/takes due, used and subject entries with it", endTakesEntries},
		{"End/leaves a tombstone until the absolute end", endTombstone},
		{"End/if an attempt is open, and it is", endAttemptHolds},
		{"End/if an attempt is open, and it is not", endAttemptMoved},
		{"End/if revision and fence stand and nothing is open, and so it is", endFenceHolds},
		{"End/if revision and fence stand and nothing is open, and it is not so", endFenceMoved},
		{"End/if not used since, and it was not", endUnusedHolds},
		{"End/if not used since, and it was", endUnusedMoved},
	}
}

func endReturnsLast(p *probe) {
	s := p.create()
	next := p.renew(s)
	p.same("the session End returns", p.end(s.ID, session.ReasonLogout), next)
}

func endThenEnded(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	from := time.Now()
	p.end(s.ID, session.ReasonForeign)
	till := time.Now()
	p.b.Sleep(time.Second)
	_, err := p.s.Get(p.ctx, s.ID)
	p.ended("Get", err, session.ReasonForeign, from, till)
	_, _, err = p.s.Begin(p.ctx, s.ID, 0, p.intent(time.Hour))
	p.ended("Begin", err, session.ReasonForeign, from, till)
	p.ended("Extend", p.s.Extend(p.ctx, a, time.Minute), session.ReasonForeign, from, till)
	p.ended("Commit", p.s.Commit(p.ctx, a, renewed(s)), session.ReasonForeign, from, till)
	p.ended("Fail", p.s.Fail(p.ctx, a, session.Failure{Class: session.Dead, Sent: true}), session.ReasonForeign, from, till)
	_, err = p.s.Get(p.ctx, s.ID)
	p.ended("Get after them", err, session.ReasonForeign, from, till)
}

func endUnconditional(p *probe) {
	s, _ := p.inDoubt()
	p.begin(s.ID)
	p.same("the session End returns", p.end(s.ID, session.ReasonLogout), s)
	p.gone("End under an open attempt in doubt", s.ID)
}

// gone expects a tombstone.
func (p *probe) gone(what string, id session.ID) {
	p.Helper()
	_, err := p.s.Get(p.ctx, id)
	p.is("Get after "+what, err, session.ErrEnded)
}

func endTwice(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	from := time.Now()
	p.end(s.ID, session.ReasonLogout)
	till := time.Now()
	p.b.Sleep(time.Minute)
	for _, only := range []store.Cond{{}, {Attempt: &a}, {Revision: 7, Fence: 7}, {UnusedSince: s.CreatedAt.Add(-time.Hour)}} {
		last, err := p.s.End(p.ctx, s.ID, session.ReasonDead, only)
		p.ok("End of an ended session", err)
		p.same("the session it returns", last, session.Session{})
	}
	_, err := p.s.Get(p.ctx, s.ID)
	p.ended("Get after both", err, session.ReasonLogout, from, till)
}

func endMissing(p *probe) {
	id := newSession().ID
	_, err := p.s.End(p.ctx, id, session.ReasonLogout, store.Cond{})
	p.is("End of a session that never was", err, session.ErrNotFound)
	_, err = p.s.Get(p.ctx, id)
	p.is("Get after it", err, session.ErrNotFound)
}

func endIsDurable(p *probe) {
	s := p.create()
	from := time.Now()
	p.end(s.ID, session.ReasonLogout)
	till := time.Now()
	p.restart()
	_, err := p.s.Get(p.ctx, s.ID)
	p.ended("Get after End and a restart", err, session.ReasonLogout, from, till)
	p.is("Create after End and a restart", p.s.Create(p.ctx, s), session.ErrExists)
	p.same("due entry after End and a restart", p.due(s.ID), store.DueEntry{})
	p.same("sessions of the user after End and a restart", p.find(subjectOf(s)), []session.ID(nil))
}

func endTakesEntries(p *probe) {
	s := p.create()
	p.end(s.ID, session.ReasonLogout)
	p.touch(s.ID, p.from(time.Minute))
	p.same("due entry", p.due(s.ID), store.DueEntry{})
	p.same("sessions of the user", p.find(subjectOf(s)), []session.ID(nil))
	p.same("sessions of the OP session", p.find(opSessionOf(s)), []session.ID(nil))
	p.same("Reap", p.reap(time.Now(), p.from(time.Hour), 10), []session.ID(nil))
	p.gone("Touch", s.ID)
}

func endTombstone(p *probe) {
	s := p.create()
	p.end(s.ID, session.ReasonLogout)
	p.until(s.EndsAt.Add(-time.Second))
	p.reap(time.Now(), time.Time{}, 10)
	p.gone("Reap just before the absolute end", s.ID)
	p.is("Create just before the absolute end", p.s.Create(p.ctx, s), session.ErrExists)
	p.until(s.EndsAt)
	p.reap(time.Now(), time.Time{}, 10)
	_, err := p.s.Get(p.ctx, s.ID)
	p.is("Get after Reap at the absolute end", err, session.ErrNotFound)
}

// endIf expects a conditional End to hold.
func (p *probe) endIf(what string, s session.Session, only store.Cond) {
	p.Helper()
	last, err := p.s.End(p.ctx, s.ID, session.ReasonDead, only)
	p.ok("End "+what, err)
	p.same("End "+what+": the session it returns", last, s)
	p.gone("End "+what, s.ID)
}

// endNot expects a conditional End not to hold.
func (p *probe) endNot(what string, id session.ID, only store.Cond) {
	p.Helper()
	p.unchanged("End "+what, id, func() {
		last, err := p.s.End(p.ctx, id, session.ReasonDead, only)
		p.is("End "+what, err, session.ErrMoved)
		p.same("End "+what+": the session it returns", last, session.Session{})
	})
}

func endAttemptHolds(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	p.endIf("if the open attempt is open", s, store.Cond{Attempt: &a})
	s, _ = p.inDoubt()
	a = p.begin(s.ID)
	p.endIf("if the open replay is open", s, store.Cond{Attempt: &a})
}

func endAttemptMoved(p *probe) {
	p.old(func(what string, a store.Attempt) { p.endNot("if open: "+what, a.SessionID, store.Cond{Attempt: &a}) })
}

func endFenceHolds(p *probe) {
	s := p.create()
	p.endIf("before any attempt", s, store.Cond{Revision: 1})
	s, _ = p.inDoubt()
	p.endIf("in doubt", s, store.Cond{Revision: 1, Fence: 1})
	next := p.renew(p.create())
	p.endIf("after a Commit", next, store.Cond{Revision: 2, Fence: 1})
}

func endFenceMoved(p *probe) {
	s, _ := p.inDoubt()
	p.endNot("if the fence is 2", s.ID, store.Cond{Revision: 1, Fence: 2})
	p.endNot("if the revision is 2", s.ID, store.Cond{Revision: 2, Fence: 1})
	a := p.begin(s.ID)
	p.endNot("if the fence is 1", s.ID, store.Cond{Revision: 1, Fence: 1})
	p.endNot("if nothing is open", s.ID, store.Cond{Revision: 1, Fence: 2})
	p.commit(a, renewed(s))
	p.endNot("if the revision is 1", s.ID, store.Cond{Revision: 1, Fence: 2})
}

func endUnusedHolds(p *probe) {
	s := p.create()
	p.endIf("if not used after its login", s, store.Cond{UnusedSince: s.CreatedAt})
	s = p.create()
	used := p.from(time.Minute)
	p.touch(s.ID, used)
	p.endIf("if not used after its last use", s, store.Cond{UnusedSince: used})
}

func endUnusedMoved(p *probe) {
	s := p.create()
	p.endNot("if not used after a time before its login", s.ID, store.Cond{UnusedSince: s.CreatedAt.Add(-1)})
	used := p.from(time.Minute)
	p.touch(s.ID, used)
	p.endNot("if not used after its login", s.ID, store.Cond{UnusedSince: s.CreatedAt})
	p.endNot("if not used after a time before its last use", s.ID, store.Cond{UnusedSince: used.Add(-1)})
}
