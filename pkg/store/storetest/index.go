package storetest

import (
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

func indexChecks() []check {
	return []check{
		{"Touch/merges by max", touchMax},
		{"Touch/passes over unknown and ended sessions", touchUnknown},
		{"Touch/survives a restart", touchRestart},
		{"Find/a user's sessions by sub", findSub},
		{"Find/an OP session's sessions by sid", findSID},
		{"Find/verifies every hit on the record", findVerifies},
		{"Find/ended sessions are gone", findEnded},
		{"Find/follows a Commit that changes sub or sid", findFollows},
		{"Find/survives a restart", findRestart},
		{"Reap/lists idle sessions", reapIdle},
		{"Reap/lists sessions past their absolute end", reapOverAge},
		{"Reap/lists at most limit", reapLimit},
		{"Reap/ends nothing", reapEndsNothing},
		{"Reap/deletes tombstones past their end, and no others", reapTombstones},
	}
}

func touchMax(p *probe) {
	s, other := p.create(), p.create()
	early, late := p.from(time.Minute), p.from(2*time.Minute)
	p.touch(s.ID, late)
	p.same("Used", p.get(s.ID).Used, late)
	p.ok("Touch", p.s.Touch(p.ctx, map[session.ID]time.Time{s.ID: early, other.ID: early}))
	p.same("Used after an older Touch", p.get(s.ID).Used, late)
	p.same("Used of another session", p.get(other.ID).Used, early)
	p.touch(other.ID, other.CreatedAt.Add(-time.Hour))
	p.same("Used after a Touch before the login", p.get(other.ID).Used, early)
}

func touchUnknown(p *probe) {
	live, ended, unknown := p.create(), p.create(), newSession()
	p.end(ended.ID, session.ReasonLogout)
	at := p.from(time.Minute)
	p.ok("Touch", p.s.Touch(p.ctx, map[session.ID]time.Time{unknown.ID: at, live.ID: at, ended.ID: at}))
	p.same("Used of the session that lives", p.get(live.ID).Used, at)
	p.gone("Touch", ended.ID)
	_, err := p.s.Get(p.ctx, unknown.ID)
	p.is("Get of an unknown session after Touch", err, session.ErrNotFound)
	p.ok("Create of it", p.s.Create(p.ctx, unknown))
	p.same("Used of it", p.get(unknown.ID).Used, unknown.CreatedAt)
}

func touchRestart(p *probe) {
	s := p.create()
	at := p.from(time.Minute)
	p.touch(s.ID, at)
	p.restart()
	p.same("Used after a restart", p.get(s.ID).Used, at)
	p.touch(s.ID, at.Add(-1))
	p.same("Used after an older Touch and a restart", p.get(s.ID).Used, at)
}

func subjectOf(s session.Session) session.SubjectKey {
	return session.SubjectKey{App: s.App, Provider: s.Provider, Sub: s.Identity.Subject}
}

func opSessionOf(s session.Session) session.SubjectKey {
	return session.SubjectKey{App: s.App, Provider: s.Provider, SID: s.Identity.SID}
}

func (p *probe) find(k session.SubjectKey) []session.ID {
	p.Helper()
	ids, err := p.s.Find(p.ctx, k)
	p.ok("Find", err)
	return sorted(ids...)
}

func (p *probe) reap(now, unusedSince time.Time, limit int) []session.ID {
	p.Helper()
	ids, err := p.s.Reap(p.ctx, now, unusedSince, limit)
	p.ok("Reap", err)
	return sorted(ids...)
}

// sorted: neither Find nor Reap promises an order.
func sorted(ids ...session.ID) []session.ID {
	return slices.SortedFunc(slices.Values(ids), func(a, b session.ID) int { return slices.Compare(a[:], b[:]) })
}

// sameUser is a with for create: another session of the user of s.
func sameUser(s session.Session) func(*session.Session) {
	return func(other *session.Session) { other.Identity.Subject = s.Identity.Subject }
}

func findSub(p *probe) {
	a := p.create()
	b, c := p.create(sameUser(a)), p.create()
	p.same("sessions of a user with two", p.find(subjectOf(a)), sorted(a.ID, b.ID))
	p.same("sessions of a user with one", p.find(subjectOf(c)), sorted(c.ID))
	p.same("sessions of a user with none", p.find(subjectOf(newSession())), []session.ID(nil))
}

func findSID(p *probe) {
	a := p.create()
	b := p.create(sameUser(a))
	c := p.create(func(s *session.Session) { s.Identity.SID = a.Identity.SID })
	p.create(bare)
	p.same("sessions of an OP session with two", p.find(opSessionOf(a)), sorted(a.ID, c.ID))
	p.same("sessions of an OP session with one", p.find(opSessionOf(b)), sorted(b.ID))
	p.same("sessions of an OP session with none", p.find(opSessionOf(newSession())), []session.ID(nil))
}

// The near misses: the same words in another application or at another OP, a
// sub that is somebody's sid, and parts that only run together alike.
func findVerifies(p *probe) {
	s := p.create(func(s *session.Session) {
		s.App, s.Provider, s.Identity.Subject, s.Identity.SID = "app", "https://op", "sub", "sid"
	})
	p.same("sessions of the user", p.find(subjectOf(s)), sorted(s.ID))
	for _, k := range []session.SubjectKey{
		{App: "other", Provider: "https://op", Sub: "sub"}, {App: "other", Provider: "https://op", SID: "sid"},
		{App: "app", Provider: "https://other", Sub: "sub"}, {App: "app", Provider: "https://other", SID: "sid"},
		{App: "app", Provider: "https://op", Sub: "sid"}, {App: "app", Provider: "https://op", SID: "sub"},
		{App: "apphttps://op", Provider: "", Sub: "sub"}, {App: "", Provider: "apphttps://op", Sub: "sub"},
		{App: "ap", Provider: "phttps://op", Sub: "sub"}, {App: "app", Provider: "https://o", Sub: "psub"},
		{App: "app", Provider: "https://op", Sub: "su"}, {App: "app", Provider: "https://op", Sub: "SUB"},
	} {
		if ids := p.find(k); len(ids) > 0 {
			p.Errorf("Find(%+v) finds the session of another", k)
		}
	}
}

func findEnded(p *probe) {
	a := p.create()
	b := p.create(sameUser(a))
	p.end(a.ID, session.ReasonLogout)
	p.same("sessions of the user", p.find(subjectOf(a)), sorted(b.ID))
	p.same("sessions of the OP session", p.find(opSessionOf(a)), []session.ID(nil))
}

func findFollows(p *probe) {
	s := p.create()
	next := p.renew(s) // of another sub and sid
	p.same("sessions of the sub as it was", p.find(subjectOf(s)), []session.ID(nil))
	p.same("sessions of the sid as it was", p.find(opSessionOf(s)), []session.ID(nil))
	p.same("sessions of the sub as it is", p.find(subjectOf(next)), sorted(s.ID))
	p.same("sessions of the sid as it is", p.find(opSessionOf(next)), sorted(s.ID))
	p.end(s.ID, session.ReasonLogout)
	p.same("sessions of the sub after End", p.find(subjectOf(next)), []session.ID(nil))
}

func findRestart(p *probe) {
	a := p.create()
	b := p.create(sameUser(a))
	p.restart()
	p.same("sessions of the user after a restart", p.find(subjectOf(a)), sorted(a.ID, b.ID))
	p.same("sessions of the OP session after a restart", p.find(opSessionOf(b)), sorted(b.ID))
}

func reapIdle(p *probe) {
	idle, used := p.create(), p.create()
	p.touch(used.ID, p.from(10*time.Minute))
	p.same("Reap of what was not used for long", p.reap(time.Now(), p.from(5*time.Minute), 10), sorted(idle.ID))
	p.same("Reap when all are in use", p.reap(time.Now(), idle.CreatedAt, 10), []session.ID(nil))
	p.restart()
	p.same("Reap after a restart", p.reap(time.Now(), p.from(5*time.Minute), 10), sorted(idle.ID))
}

func reapOverAge(p *probe) {
	over := p.create(func(s *session.Session) { s.EndsAt = p.from(time.Hour) })
	p.create()
	p.touch(over.ID, over.EndsAt)
	p.same("Reap just before the absolute end", p.reap(over.EndsAt.Add(-1), time.Time{}, 10), []session.ID(nil))
	p.same("Reap at the absolute end", p.reap(over.EndsAt, time.Time{}, 10), sorted(over.ID))
}

func reapLimit(p *probe) {
	for range 5 {
		p.create()
	}
	if n := len(p.reap(time.Now(), p.from(time.Hour), 3)); n != 3 {
		p.Errorf("Reap with limit 3 lists %d of 5", n)
	}
	if n := len(p.reap(time.Now(), p.from(time.Hour), 9)); n != 5 {
		p.Errorf("Reap with limit 9 lists %d of 5", n)
	}
}

func reapEndsNothing(p *probe) {
	s := p.create(func(s *session.Session) { s.EndsAt = p.from(time.Hour) })
	p.unchanged("Reap", s.ID, func() { p.reap(s.EndsAt.Add(time.Hour), p.from(time.Hour), 10) })
	p.same("due entry after Reap", p.due(s.ID), entry(s))
	p.same("sessions of the user after Reap", p.find(subjectOf(s)), sorted(s.ID))
}

func reapTombstones(p *probe) {
	old := p.create(func(s *session.Session) { s.EndsAt = p.from(time.Hour) })
	young := p.create()
	p.end(old.ID, session.ReasonLogout)
	p.end(young.ID, session.ReasonLogout)
	p.until(old.EndsAt)
	p.same("Reap with tombstones only", p.reap(time.Now(), time.Now(), 10), []session.ID(nil))
	_, err := p.s.Get(p.ctx, old.ID)
	p.is("Get of a tombstone past its end", err, session.ErrNotFound)
	p.gone("Reap before the tombstone's end", young.ID)
	p.ok("Create over a tombstone that was deleted", p.s.Create(p.ctx, old))
}
