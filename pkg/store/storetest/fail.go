package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func failChecks() []check {
	return []check{
		{"Fail/not sent leaves doubt and ReplayAt as Begin found them", failNotSent},
		{"Fail/sent and refused drops ReplayAt unless in doubt", failRefused},
		{"Fail/sent and unknown is in doubt until ReplayAt", failUnknown},
		{"Fail/without a ReplayAt keeps the attempt's", failKeepsReplayAt},
		{"Fail/counts, remembers the class and sets NotBefore", failCounts},
		{"Fail/is due again at SweepAt, or in doubt at ReplayAt, but not before NotBefore", failDue},
		{"Fail/of a session never due leaves it never due", failNeverDue},
		{"Fail/by AttemptID alone gives up a Begin whose reply was lost", failByID},
		{"Fail/of an old attempt is ErrMoved without effect", failOld},
		{"Fail/of a missing session is ErrNotFound", failMissing},
		{"Fail/is durable when it returns", failIsDurable},
	}
}

// inDoubt brings a session whose next attempt is a replay, and ReplayAt as that
// one will find it.
func (p *probe) inDoubt() (session.Session, time.Time) {
	p.Helper()
	s := p.create()
	at := p.from(time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, ReplayAt: at})
	p.until(at)
	return s, at
}

// closed expects what every Fail leaves, and doubt and ReplayAt as told.
func (p *probe) closed(what string, id session.ID, doubt bool, replayAt time.Time) {
	p.Helper()
	r := p.get(id)
	p.same(what+": Attempt", r.Attempt, (*store.Attempt)(nil))
	p.same(what+": InDoubt", r.InDoubt, doubt)
	p.same(what+": ReplayAt", r.ReplayAt, replayAt)
}

func failNotSent(p *probe) {
	s := p.create()
	p.fail(p.begin(s.ID), session.Failure{Class: session.Transient})
	p.closed("a first attempt, not sent", s.ID, false, time.Time{})

	s, at := p.inDoubt()
	p.fail(p.begin(s.ID), session.Failure{Class: session.Transient})
	p.closed("a replay, not sent", s.ID, true, at)

	s = p.create()
	p.begin(s.ID)
	at = p.get(s.ID).ReplayAt
	p.restart()
	p.until(at)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Transient})
	p.closed("a replay of a dead owner's attempt, not sent", s.ID, true, at)
}

func failRefused(p *probe) {
	for _, class := range []session.Class{session.Transient, session.Misconfigured, session.Refused, session.Dead} {
		s := p.create()
		p.fail(p.begin(s.ID), session.Failure{Class: class, Sent: true})
		p.closed("a first attempt, "+class.String(), s.ID, false, time.Time{})

		s, _ = p.inDoubt()
		at := p.from(10 * time.Minute)
		p.fail(p.begin(s.ID), session.Failure{Class: class, Sent: true, ReplayAt: at})
		p.closed("a replay, "+class.String(), s.ID, true, at)
	}
}

func failUnknown(p *probe) {
	s := p.create()
	at := p.from(10 * time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, ReplayAt: at})
	p.closed("a first attempt, unknown", s.ID, true, at)

	s, _ = p.inDoubt()
	at = p.from(10 * time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, ReplayAt: at})
	p.closed("a replay, unknown", s.ID, true, at)
	p.refuse("Begin before ReplayAt", s.ID, 0, p.intent(time.Hour), session.ErrNotYet)
}

func failKeepsReplayAt(p *probe) {
	s := p.create()
	in := p.intent(25 * time.Minute)
	_, a, err := p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	p.fail(a, session.Failure{Class: session.Unknown, Sent: true})
	p.closed("an unknown answer without a ReplayAt", s.ID, true, in.ReplayAt)
	p.until(in.ReplayAt)
	in = p.intent(25 * time.Minute)
	_, a, err = p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	p.fail(a, session.Failure{Class: session.Refused, Sent: true})
	p.closed("a refused replay without a ReplayAt", s.ID, true, in.ReplayAt)
}

func failCounts(p *probe) {
	s := p.create()
	for i, class := range []session.Class{session.Transient, session.Refused, session.Misconfigured} {
		at := p.from(time.Minute)
		a := p.begin(s.ID)
		p.fail(a, session.Failure{Class: class, Sent: i > 0, NotBefore: at})
		r := p.get(s.ID)
		p.same("Failures", r.Failures, i+1)
		p.same("LastClass", r.LastClass, class)
		p.same("NotBefore", r.NotBefore, at)
		p.same("Session", r.Session, s)
		p.until(at)
	}
	p.fail(p.begin(s.ID), session.Failure{Class: session.Transient})
	p.same("NotBefore of a Fail that gives none", p.get(s.ID).NotBefore, time.Time{})
}

func failDue(p *probe) {
	// SweepAt is 40 minutes away.
	soon, late, later := p.from(time.Minute), p.from(50*time.Minute), p.from(55*time.Minute)
	for _, tt := range []struct {
		what string
		f    session.Failure
		want func(session.Session) time.Time
	}{
		{"ReplayAt, before SweepAt", session.Failure{Class: session.Unknown, Sent: true, NotBefore: soon.Add(-time.Second), ReplayAt: soon},
			func(session.Session) time.Time { return soon }},
		{"NotBefore, before SweepAt", session.Failure{Class: session.Unknown, Sent: true, NotBefore: soon, ReplayAt: soon.Add(-time.Second)},
			func(session.Session) time.Time { return soon }},
		{"NotBefore", session.Failure{Class: session.Unknown, Sent: true, NotBefore: later, ReplayAt: late},
			func(session.Session) time.Time { return later }},
		{"ReplayAt", session.Failure{Class: session.Unknown, Sent: true, NotBefore: late, ReplayAt: later},
			func(session.Session) time.Time { return later }},
		{"NotBefore, nothing in doubt", session.Failure{Class: session.Refused, Sent: true, NotBefore: late},
			func(session.Session) time.Time { return late }},
		{"SweepAt, not sent", session.Failure{Class: session.Transient},
			func(s session.Session) time.Time { return s.SweepAt }},
	} {
		s := p.create()
		p.fail(p.begin(s.ID), tt.f)
		p.same("DueAt where what counts is "+tt.what, p.get(s.ID).DueAt, tt.want(s))
		p.same("Due where what counts is "+tt.what, p.due(s.ID).DueAt, tt.want(s))
	}
}

func failNeverDue(p *probe) {
	s := p.create(func(s *session.Session) { s.SweepAt = time.Time{} })
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, NotBefore: p.from(time.Minute), ReplayAt: p.from(time.Minute)})
	p.same("DueAt", p.get(s.ID).DueAt, time.Time{})
	p.same("Due", p.due(s.ID), store.DueEntry{})
}

func failByID(p *probe) {
	s := p.create()
	in := p.intent(time.Hour)
	_, _, err := p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	lost := store.Attempt{ID: in.AttemptID, SessionID: s.ID}
	p.ok("Fail by AttemptID", p.s.Fail(p.ctx, lost, session.Failure{Class: session.Transient}))
	p.closed("given up by AttemptID", s.ID, false, time.Time{})

	s, at := p.inDoubt()
	in = p.intent(time.Hour)
	_, _, err = p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	lost = store.Attempt{ID: in.AttemptID, SessionID: s.ID}
	p.ok("Fail by AttemptID", p.s.Fail(p.ctx, lost, session.Failure{Class: session.Transient}))
	p.closed("a replay given up by AttemptID", s.ID, true, at)
}

func failOld(p *probe) {
	p.old(func(what string, a store.Attempt) {
		for _, f := range []session.Failure{
			{Class: session.Transient, NotBefore: p.from(time.Hour)},
			{Class: session.Unknown, Sent: true, ReplayAt: p.from(time.Hour)},
		} {
			p.unchanged("Fail of "+what, a.SessionID, func() {
				p.is("Fail of "+what, p.s.Fail(p.ctx, a, f), session.ErrMoved)
			})
		}
	})
}

func failMissing(p *probe) {
	a := store.Attempt{ID: newAttemptID(), SessionID: newSession().ID}
	p.is("Fail on a session that never was", p.s.Fail(p.ctx, a, session.Failure{Class: session.Transient}), session.ErrNotFound)
}

func failIsDurable(p *probe) {
	s := p.create()
	p.fail(p.begin(s.ID), session.Failure{
		Class: session.Unknown, Sent: true, NotBefore: p.from(50 * time.Minute), ReplayAt: p.from(55 * time.Minute),
	})
	before := p.get(s.ID)
	p.restart()
	p.same("Get after Fail and a restart", p.get(s.ID), before)
}
