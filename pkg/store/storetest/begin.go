package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func beginChecks() []check {
	return []check{
		{"Begin/of a missing session is ErrNotFound", beginMissing},
		{"Begin/opens an attempt on the current revision", beginOpens},
		{"Begin/revision 0 is whatever is current", beginAnyRevision},
		{"Begin/another revision is ErrMoved with the winner's Record", beginMoved},
		{"Begin/the intent is durable when it returns", beginIsDurable},
		{"Begin/the same AttemptID is the same Attempt again", beginAgain},
		{"Begin/over a living owner's attempt is ErrBusy with the Record", beginBusy},
		{"Begin/over a dead owner's attempt is ErrNotYet until ReplayAt, forced or not", beginDeadOwner},
		{"Begin/over a dead owner's attempt after ReplayAt is in doubt", beginReplay},
		{"Begin/NotBefore holds back and Force passes it", beginNotBefore},
		{"Begin/in doubt, ReplayAt holds back and Force does not pass it", beginReplayAt},
		{"Begin/fences rise over Fail, Commit and a restart", beginFences},
		{"Begin/Tries counts since the last Commit", beginTries},
	}
}

// refuse expects Begin to be refused with err, with the Record as it is, and
// without effect.
func (p *probe) refuse(what string, id session.ID, rev session.Revision, in store.Intent, want error) {
	p.Helper()
	p.unchanged(what, id, func() {
		before := p.get(id)
		r, _, err := p.s.Begin(p.ctx, id, rev, in)
		p.is(what, err, want)
		p.same(what+": the Record it comes with", r, before)
	})
}

func beginMissing(p *probe) {
	p.create()
	id := newSession().ID
	for _, rev := range []session.Revision{0, 1} {
		_, _, err := p.s.Begin(p.ctx, id, rev, p.intent(time.Hour))
		p.is("Begin of a session that never was", err, session.ErrNotFound)
	}
	_, err := p.s.Get(p.ctx, id)
	p.is("Get after it", err, session.ErrNotFound)
}

func beginOpens(p *probe) {
	s := p.create()
	in := p.intent(45 * time.Minute)
	from := time.Now()
	r, a, err := p.s.Begin(p.ctx, s.ID, 1, in)
	p.ok("Begin", err)
	p.between("Began", a.Began, from, time.Now())
	want := store.Attempt{
		ID: in.AttemptID, SessionID: s.ID, Revision: 1, Fence: 1, Tries: 1, Owner: in.Owner, Began: a.Began, By: in.By,
	}
	p.same("Attempt of Begin", a, want)
	p.same("Record of Begin", r, store.Record{
		Session: s, Attempt: &want, Fence: 1, ReplayAt: in.ReplayAt, Tries: 1, Used: s.CreatedAt, DueAt: in.ReplayAt,
	})
	p.same("Get after Begin", p.get(s.ID), r)
}

func beginAnyRevision(p *probe) {
	s := p.create()
	p.renew(s)
	_, a, err := p.s.Begin(p.ctx, s.ID, 0, p.intent(time.Hour))
	p.ok("Begin of revision 0", err)
	p.same("revision of the Attempt", a.Revision, session.Revision(2))
}

func beginMoved(p *probe) {
	s := p.create()
	p.renew(s)
	p.refuse("Begin of an older revision", s.ID, 1, p.intent(time.Hour), session.ErrMoved)
	p.refuse("Begin of a newer revision", s.ID, 3, p.intent(time.Hour), session.ErrMoved)
	in := p.intent(time.Hour)
	in.Force = true
	p.refuse("forced Begin of an older revision", s.ID, 1, in, session.ErrMoved)
}

func beginIsDurable(p *probe) {
	s := p.create()
	in := p.intent(45 * time.Minute)
	r, _, err := p.s.Begin(p.ctx, s.ID, 1, in)
	p.ok("Begin", err)
	p.restart()
	p.same("Get after Begin and a restart", p.get(s.ID), r)
}

func beginAgain(p *probe) {
	s := p.create()
	in := p.intent(time.Hour)
	first, a, err := p.s.Begin(p.ctx, s.ID, 1, in)
	p.ok("Begin", err)
	for _, rev := range []session.Revision{1, 0} {
		p.unchanged("Begin with the AttemptID that is open", s.ID, func() {
			r, again, err := p.s.Begin(p.ctx, s.ID, rev, in)
			p.ok("Begin again", err)
			p.same("Attempt of the second Begin", again, a)
			p.same("Record of the second Begin", r, first)
		})
	}
}

func beginBusy(p *probe) {
	s := p.create()
	p.begin(s.ID)
	p.refuse("Begin over an open attempt", s.ID, 1, p.intent(time.Hour), session.ErrBusy)
	in := p.intent(time.Hour)
	in.Force = true
	p.refuse("forced Begin over an open attempt", s.ID, 0, in, session.ErrBusy)
}

func beginDeadOwner(p *probe) {
	s := p.create()
	a := p.begin(s.ID) // ReplayAt in an hour
	p.restart()
	force := p.intent(2 * time.Hour)
	force.Force = true
	p.refuse("Begin before ReplayAt", s.ID, 0, p.intent(2*time.Hour), session.ErrNotYet)
	p.refuse("forced Begin before ReplayAt", s.ID, 1, force, session.ErrNotYet)
	p.until(p.get(s.ID).ReplayAt.Add(-time.Millisecond))
	p.refuse("Begin just before ReplayAt", s.ID, 0, p.intent(2*time.Hour), session.ErrNotYet)
	p.same("the open attempt", p.get(s.ID).Attempt, &a)
}

func beginReplay(p *probe) {
	s := p.create()
	dead := p.begin(s.ID)
	p.restart()
	found := p.get(s.ID).ReplayAt
	p.until(found)
	in := p.intent(time.Hour)
	r, a, err := p.s.Begin(p.ctx, s.ID, 1, in)
	p.ok("Begin at ReplayAt", err)
	p.same("Attempt of the replay", a, store.Attempt{
		ID: in.AttemptID, SessionID: s.ID, Revision: 1, Fence: dead.Fence + 1, InDoubt: true, Tries: 2, Owner: p.owner, FoundReplayAt: found, Began: a.Began, By: in.By,
	})
	p.same("Record of the replay: in doubt", r.InDoubt, true)
	p.same("Record of the replay: ReplayAt", r.ReplayAt, in.ReplayAt)
	p.same("Get after the replay began", p.get(s.ID), r)
}

func beginNotBefore(p *probe) {
	s := p.create()
	at := p.from(20 * time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Transient, NotBefore: at})
	p.refuse("Begin before NotBefore", s.ID, 1, p.intent(time.Hour), session.ErrNotYet)
	force := p.intent(time.Hour)
	force.Force = true
	_, a, err := p.s.Begin(p.ctx, s.ID, 1, force)
	p.ok("forced Begin before NotBefore", err)
	p.fail(a, session.Failure{Class: session.Transient, NotBefore: at})
	p.until(at)
	_, a, err = p.s.Begin(p.ctx, s.ID, 1, p.intent(time.Hour))
	p.ok("Begin at NotBefore", err)
	p.same("the attempt's InDoubt", a.InDoubt, false)
}

func beginReplayAt(p *probe) {
	s := p.create()
	at := p.from(20 * time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, ReplayAt: at})
	force := p.intent(time.Hour)
	force.Force = true
	p.refuse("Begin in doubt before ReplayAt", s.ID, 1, p.intent(time.Hour), session.ErrNotYet)
	p.refuse("forced Begin in doubt before ReplayAt", s.ID, 0, force, session.ErrNotYet)
	p.until(at)
	_, a, err := p.s.Begin(p.ctx, s.ID, 1, p.intent(time.Hour))
	p.ok("Begin in doubt at ReplayAt", err)
	p.same("the attempt's InDoubt", a.InDoubt, true)
}

func beginFences(p *probe) {
	s := p.create()
	fence := func(want uint64) store.Attempt {
		p.Helper()
		p.same("Fence of the Record before Begin", p.get(s.ID).Fence, want-1)
		a := p.begin(s.ID)
		p.same("Fence of the Attempt", a.Fence, want)
		return a
	}
	p.fail(fence(1), session.Failure{Class: session.Transient})
	p.ok("Commit", p.s.Commit(p.ctx, fence(2), renewed(s)))
	fence(3)
	p.restart()
	p.until(p.get(s.ID).ReplayAt)
	fence(4)
}

func beginTries(p *probe) {
	s := p.create()
	for want := 1; want <= 3; want++ {
		a := p.begin(s.ID)
		p.same("Tries of the Attempt", a.Tries, want)
		p.same("Tries of the Record", p.get(s.ID).Tries, want)
		p.fail(a, session.Failure{Class: session.Transient})
	}
	p.renew(s)
	p.same("Tries after a Commit", p.begin(s.ID).Tries, 1)
}
