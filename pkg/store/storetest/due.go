package storetest

import (
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func dueChecks() []check {
	return []check{
		{"Due/lists what is due, earliest first", dueOrder},
		{"Due/next is the earliest due time that remains", dueNext},
		{"Due/a page is a copy, and asking changes nothing", dueCopied},
		{"Due/a session without SweepAt is never due", dueNever},
		{"Due/follows Begin, Fail and Commit", dueFollows},
		{"Due/what moves takes its new place in the order", dueReorders},
		{"Due/what was not used since leaves and comes back by Touch", dueParkedTouch},
		{"Due/what was not used since leaves and comes back by Commit", dueParkedCommit},
		{"Due/what left stays away over Begin and Fail", dueParkedFail},
		{"Due/what has expired leaves and comes back by Commit", dueExpired},
		{"Due/what was retried in time stays, expired or not", dueRetried},
		{"Due/what leaves takes no place on the page", dueLimitParked},
		{"Due/is there again after a restart", dueRestart},
	}
}

// swept creates sessions due in so many minutes each, in that order.
func (p *probe) swept(minutes ...time.Duration) []session.Session {
	p.Helper()
	all := make([]session.Session, len(minutes))
	for i, m := range minutes {
		all[i] = p.create(func(s *session.Session) { s.SweepAt = p.from(m * time.Minute) })
	}
	return all
}

// entry is s in the due index, as it was created.
func entry(s session.Session) store.DueEntry {
	return store.DueEntry{ID: s.ID, Revision: s.Revision, DueAt: s.SweepAt, Exp: s.Token.Exp()}
}

// page expects Due to answer with just these entries and next.
func (p *probe) page(what string, before, usedSince time.Time, limit int, want []store.DueEntry, next time.Time) {
	p.Helper()
	got, gotNext, err := p.s.Due(p.ctx, before, usedSince, limit)
	p.ok(what, err)
	p.same(what, got, want)
	p.same(what+": next", gotNext, next)
}

func dueOrder(p *probe) {
	s := p.swept(30, 10, 50, 20, 40)
	p.page("Due before all", p.from(5*time.Minute), time.Time{}, 10, nil, s[1].SweepAt)
	p.page("Due at the first", s[1].SweepAt, time.Time{}, 10, []store.DueEntry{entry(s[1])}, s[3].SweepAt)
	p.page("Due after three", p.from(35*time.Minute), time.Time{}, 10,
		[]store.DueEntry{entry(s[1]), entry(s[3]), entry(s[0])}, s[4].SweepAt)
}

func dueNext(p *probe) {
	p.page("Due of an empty store", p.from(time.Hour), time.Time{}, 10, nil, time.Time{})
	s := p.swept(10, 20, 30)
	at := p.from(25 * time.Minute)
	p.page("Due of one of two", at, time.Time{}, 1, []store.DueEntry{entry(s[0])}, s[1].SweepAt)
	p.page("Due of two of two", at, time.Time{}, 2, []store.DueEntry{entry(s[0]), entry(s[1])}, s[2].SweepAt)
	p.page("Due of all", p.from(30*time.Minute), time.Time{}, 3,
		[]store.DueEntry{entry(s[0]), entry(s[1]), entry(s[2])}, time.Time{})
	p.end(s[2].ID, session.ReasonLogout)
	p.page("Due after the last has ended", at, time.Time{}, 3, []store.DueEntry{entry(s[0]), entry(s[1])}, time.Time{})
}

func dueCopied(p *probe) {
	s := p.swept(10, 20, 30)
	at := p.from(25 * time.Minute)
	for range 3 {
		page, _, err := p.s.Due(p.ctx, at, time.Time{}, 10)
		p.ok("Due", err)
		p.same("Due again", page, []store.DueEntry{entry(s[0]), entry(s[1])})
		slices.Reverse(page)
		for i := range page {
			page[i] = store.DueEntry{}
		}
	}
}

func dueNever(p *probe) {
	s := p.create(func(s *session.Session) { s.SweepAt = time.Time{} })
	p.page("Due", p.from(time.Minute), time.Time{}, 10, nil, time.Time{})
	p.touch(s.ID, p.from(time.Minute))
	p.page("Due after Touch", p.from(time.Minute), time.Time{}, 10, nil, time.Time{})
	next := p.renew(s)
	p.same("due entry of a revision that is due", p.due(s.ID), entry(next))
}

func dueFollows(p *probe) {
	s := p.swept(10)[0]
	a := p.begin(s.ID)
	e := entry(s)
	e.DueAt = p.get(s.ID).ReplayAt
	p.page("Due under an open attempt", s.SweepAt, time.Time{}, 10, nil, e.DueAt)
	e.DueAt = p.from(20 * time.Minute)
	p.fail(a, session.Failure{Class: session.Transient, NotBefore: e.DueAt})
	p.page("Due after Fail", e.DueAt, time.Time{}, 10, []store.DueEntry{e}, time.Time{})
	p.until(e.DueAt)
	next := p.renew(s)
	p.page("Due before the new SweepAt", next.SweepAt.Add(-1), time.Time{}, 10, nil, next.SweepAt)
	p.page("Due after Commit", next.SweepAt, time.Time{}, 10, []store.DueEntry{entry(next)}, time.Time{})
}

func dueReorders(p *probe) {
	s := p.swept(10, 20, 30, 40)
	last := entry(s[0])
	last.DueAt = p.from(45 * time.Minute)
	p.fail(p.begin(s[0].ID), session.Failure{Class: session.Transient, NotBefore: last.DueAt})
	next := renewed(s[3])
	next.SweepAt = p.from(5 * time.Minute)
	p.commit(p.begin(s[3].ID), next)
	first := entry(next)
	p.page("Due after the first has moved to the end and the last to the front", p.from(50*time.Minute), time.Time{}, 10,
		[]store.DueEntry{first, entry(s[1]), entry(s[2]), last}, time.Time{})
	p.page("Due of two", p.from(50*time.Minute), time.Time{}, 2, []store.DueEntry{first, entry(s[1])}, s[2].SweepAt)
}

// park makes s leave the index for not having been used.
func (p *probe) park(s session.Session) {
	p.Helper()
	p.page("Due with an unused session", s.SweepAt, p.from(time.Minute), 10, nil, time.Time{})
	p.page("Due with a parked session", s.SweepAt, time.Time{}, 10, nil, time.Time{})
}

func dueParkedTouch(p *probe) {
	s := p.swept(10)[0]
	p.park(s)
	used := p.from(2 * time.Minute)
	p.touch(s.ID, used)
	p.page("Due before SweepAt, touched", s.SweepAt.Add(-1), used, 10, nil, s.SweepAt)
	p.page("Due at SweepAt, touched", s.SweepAt, used, 10, []store.DueEntry{entry(s)}, time.Time{})
}

func dueParkedCommit(p *probe) {
	s := p.swept(10)[0]
	p.park(s)
	next := p.renew(s)
	p.page("Due at SweepAt, committed", next.SweepAt, time.Time{}, 10, []store.DueEntry{entry(next)}, time.Time{})
}

func dueParkedFail(p *probe) {
	s := p.swept(10)[0]
	p.park(s)
	a := p.begin(s.ID)
	p.page("Due with a parked session's open attempt", p.from(50*time.Minute), time.Time{}, 10, nil, time.Time{})
	at := p.from(20 * time.Minute)
	p.fail(a, session.Failure{Class: session.Transient, NotBefore: at})
	p.page("Due with a parked session that failed", p.from(50*time.Minute), time.Time{}, 10, nil, time.Time{})
	p.touch(s.ID, p.from(time.Minute))
	e := entry(s)
	e.DueAt = at
	p.page("Due with it, touched", at, time.Time{}, 10, []store.DueEntry{e}, time.Time{})
}

func dueExpired(p *probe) {
	s := p.swept(10)[0]
	p.page("Due just before expiry", s.Token.Exp().Add(-1), time.Time{}, 10, []store.DueEntry{entry(s)}, time.Time{})
	p.page("Due at expiry", s.Token.Exp(), time.Time{}, 10, nil, time.Time{})
	p.page("Due after that", s.SweepAt, time.Time{}, 10, nil, time.Time{})
	next := p.renew(s)
	p.page("Due after Commit", next.SweepAt, time.Time{}, 10, []store.DueEntry{entry(next)}, time.Time{})
}

// dueRetried: what did not wait in vain is looked at although it has expired.
func dueRetried(p *probe) {
	s := p.swept(10, 10)
	entries := make([]store.DueEntry, len(s))
	for i, after := range []time.Duration{-time.Second, 10 * time.Second} {
		entries[i] = entry(s[i])
		entries[i].DueAt = s[i].Token.Exp().Add(after)
		p.fail(p.begin(s[i].ID), session.Failure{Class: session.Transient, NotBefore: entries[i].DueAt})
	}
	exp := s[0].Token.Exp()
	p.page("Due at expiry, a second after the time of the retry", exp, time.Time{}, 10, entries[:1], entries[1].DueAt)
	p.page("Due longer after it", exp.Add(1), time.Time{}, 10, nil, entries[1].DueAt)
	p.page("Due at the time of a retry past expiry", entries[1].DueAt, time.Time{}, 10, entries[1:], time.Time{})
	p.page("Due longer after it", entries[1].DueAt.Add(time.Second+1), time.Time{}, 10, nil, time.Time{})
}

func dueLimitParked(p *probe) {
	s := p.swept(10, 11, 12, 13)
	used := p.from(30 * time.Minute)
	p.touch(s[2].ID, used)
	p.touch(s[3].ID, used)
	p.page("Due with two unused before the first used", s[3].SweepAt, used, 1, []store.DueEntry{entry(s[2])}, s[3].SweepAt)
}

func dueRestart(p *probe) {
	s := p.swept(30, 10, 20)
	at := p.from(35 * time.Minute)
	p.fail(p.begin(s[1].ID), session.Failure{Class: session.Transient, NotBefore: at})
	p.end(s[2].ID, session.ReasonLogout)
	p.restart()
	failed := entry(s[1])
	failed.DueAt = at
	p.page("Due after a restart", at, time.Time{}, 10, []store.DueEntry{entry(s[0]), failed}, time.Time{})
}
