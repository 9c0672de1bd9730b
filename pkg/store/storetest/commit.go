package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func commitChecks() []check {
	return []check{
		{"Commit/makes next the current revision, due at its SweepAt", commitMoves},
		{"Commit/is durable when it returns", commitIsDurable},
		{"Commit/of a missing session is ErrNotFound", commitMissing},
		{"Commit/clears attempt, doubt, ReplayAt, NotBefore and Failures", commitClears},
		{"Commit/after Fail succeeds", commitAfterFail},
		{"Commit/under a newer fence succeeds", commitUnderNewerFence},
		{"Commit/after a restart succeeds", commitAfterRestart},
		{"Commit/of a revision that moved is ErrMoved without effect", commitMoved},
		{"Commit/repeated after success is nil", commitAgain},
		{"Commit/repeated under the next attempt leaves that open", commitAgainUnderNext},
		{"Commit/repeated after a restart is nil", commitAgainAfterRestart},
		{"Commit/is no use of the session", commitIsNoUse},
	}
}

func (p *probe) commit(a store.Attempt, next session.Session) {
	p.Helper()
	p.ok("Commit", p.s.Commit(p.ctx, a, next))
}

// committed is the record that a Commit of next by a leaves after other outcomes.
func committed(a store.Attempt, next session.Session, fence uint64, before ...session.Outcome) store.Record {
	return store.Record{
		Session: next, Fence: fence, Committed: a.ID, Used: next.CreatedAt, DueAt: next.SweepAt,
		History: append(before, outcome(a, session.Renewed)),
	}
}

func commitMoves(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	p.same("Get after Commit", p.get(s.ID), committed(a, next, 1))
}

func commitIsDurable(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	p.restart()
	p.same("Get after Commit and a restart", p.get(s.ID), committed(a, next, 1))
}

func commitMissing(p *probe) {
	s := newSession()
	err := p.s.Commit(p.ctx, store.Attempt{ID: newAttemptID(), SessionID: s.ID, Revision: 1, Fence: 1}, renewed(s))
	p.is("Commit to a session that never was", err, session.ErrNotFound)
	_, err = p.s.Get(p.ctx, s.ID)
	p.is("Get after it", err, session.ErrNotFound)
}

func commitClears(p *probe) {
	s := p.create()
	var before []session.Outcome
	for range 2 { // doubt, back-off, failures; then an attempt on top of them
		a := p.begin(s.ID)
		before = append(before, outcome(a, session.Unknown))
		p.fail(a, session.Failure{
			Class: session.Unknown, Sent: true, NotBefore: p.from(time.Minute), ReplayAt: p.from(2 * time.Minute),
		})
		p.b.Sleep(3 * time.Minute)
	}
	a, next := p.begin(s.ID), renewed(s)
	p.same("InDoubt before Commit", p.get(s.ID).InDoubt, true)
	p.commit(a, next)
	p.same("Get after Commit", p.get(s.ID), committed(a, next, 3, before...))
	p.same("the next attempt's InDoubt", p.begin(s.ID).InDoubt, false)
}

func commitAfterFail(p *probe) {
	for _, f := range []session.Failure{
		{Class: session.Unknown, Sent: true, ReplayAt: p.from(time.Hour)},
		{Class: session.Refused, Sent: true, NotBefore: p.from(time.Hour)},
		{Class: session.Transient},
	} {
		s := p.create()
		a, next := p.begin(s.ID), renewed(s)
		p.fail(a, f)
		p.ok("Commit after Fail", p.s.Commit(p.ctx, a, next))
		p.same("Get after a late winner's Commit", p.get(s.ID), committed(a, next, 1, outcome(a, f.Class)))
	}
}

// The winner was cut off, another took its attempt for dead, and the winner
// comes back first: its tokens are the only good ones.
func commitUnderNewerFence(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.fail(store.Attempt{ID: a.ID, SessionID: s.ID}, session.Failure{Class: session.Unknown, Sent: true})
	p.until(p.get(s.ID).ReplayAt)
	newer := p.begin(s.ID)
	p.ok("Commit under a newer fence", p.s.Commit(p.ctx, a, next))
	p.same("Get after it", p.get(s.ID), committed(a, next, newer.Fence, outcome(a, session.Unknown)))
	p.is("the newer attempt's Commit", p.s.Commit(p.ctx, newer, renewed(s)), session.ErrMoved)
	p.is("the newer attempt's Extend", p.s.Extend(p.ctx, newer, time.Minute), session.ErrMoved)
}

func commitAfterRestart(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.restart()
	p.ok("Commit after a restart", p.s.Commit(p.ctx, a, next))
	p.same("Get after it", p.get(s.ID), committed(a, next, 1))
}

func commitMoved(p *probe) {
	s := p.create()
	loser := p.begin(s.ID)
	p.fail(loser, session.Failure{Class: session.Transient})
	next := p.renew(s)
	p.unchanged("a loser's Commit", s.ID, func() {
		p.is("a loser's Commit", p.s.Commit(p.ctx, loser, renewed(s)), session.ErrMoved)
	})
	open := p.begin(s.ID)
	p.unchanged("a loser's Commit under an open attempt", s.ID, func() {
		p.is("a loser's Commit", p.s.Commit(p.ctx, loser, renewed(s)), session.ErrMoved)
	})
	p.commit(open, renewed(next))
	p.unchanged("a Commit two revisions late", s.ID, func() {
		p.is("a Commit two revisions late", p.s.Commit(p.ctx, loser, renewed(s)), session.ErrMoved)
	})
}

func commitAgain(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	p.unchanged("the same Commit again", s.ID, func() {
		p.ok("the same Commit again", p.s.Commit(p.ctx, a, next))
	})
}

func commitAgainUnderNext(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	p.begin(s.ID)
	p.unchanged("the same Commit again", s.ID, func() {
		p.ok("the same Commit again", p.s.Commit(p.ctx, a, next))
	})
}

func commitAgainAfterRestart(p *probe) {
	s := p.create()
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	p.restart()
	p.unchanged("the same Commit again", s.ID, func() {
		p.ok("the same Commit again", p.s.Commit(p.ctx, a, next))
	})
}

func commitIsNoUse(p *probe) {
	s := p.create()
	used := p.from(5 * time.Minute)
	p.touch(s.ID, used)
	p.renew(s)
	p.same("Used after Commit", p.get(s.ID).Used, used)
}
