package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func importChecks() []check {
	return []check{
		{"Import/keeps every field of a Record", importKeeps},
		{"Import/keeps absent what is absent", importBare},
		{"Import/an open attempt becomes one in doubt until its ReplayAt", importOpen},
		{"Import/is found as what was created here", importIndexed},
		{"Import/over the same or a newer one is ErrExists", importOverNewer},
		{"Import/over an older one replaces it, and keeps the later use", importOverOlder},
		{"Import/over a tombstone is ErrEnded", importOverTombstone},
		{"Bury/leaves the tombstone until its end", buryLeaves},
		{"Bury/ends what lives here", buryLive},
		{"Bury/of what has ended is ErrEnded, and the first reason stays", buryTwice},
	}
}

// foreign is a record of another store, in doubt, with every field set but the
// attempt, and Lost, which no store has.
func (p *probe) foreign() store.Record {
	p.Helper()
	s := newSession()
	s.Revision = 7
	past := outcome(store.Attempt{Began: p.from(-2 * time.Minute), By: "sweep", Revision: 6}, session.Renewed)
	lost := outcome(store.Attempt{Began: p.from(-time.Minute), By: "request", Revision: 7, InDoubt: true}, session.Unknown)
	r := store.Record{
		Session: s, History: []session.Outcome{past, lost}, Fence: 9, InDoubt: true, ReplayAt: p.from(20 * time.Minute),
		NotBefore: p.from(10 * time.Minute), Failures: 2, LastClass: session.Unknown, Tries: 3, Committed: newAttemptID(),
		Used: p.from(3 * time.Second),
	}
	r.DueAt = r.ReplayAt
	for field, v := range reflect.ValueOf(r).Fields() {
		if path := zeroField(v); path != "" && field.Name != "Attempt" && field.Name != "Lost" {
			p.Fatalf("the suite's own sample leaves Record.%s%s zero", field.Name, path)
		}
	}
	return r
}

// opened is r with an attempt of another store open.
func (p *probe) opened(r store.Record) store.Record {
	r.Attempt = &store.Attempt{
		ID: newAttemptID(), SessionID: r.Session.ID, Revision: r.Session.Revision, Fence: r.Fence, Tries: r.Tries, Owner: "of another store",
		Began: p.from(-time.Second), By: "sweep",
	}
	r.InDoubt = false
	return r
}

func (p *probe) imports(r store.Record) {
	p.Helper()
	p.ok("Import", p.s.Import(p.ctx, r))
}

func importKeeps(p *probe) {
	r := p.foreign()
	given := clone(r)
	p.imports(given)
	given.Session.Identity.Claims["groups"], given.History[0].By = "changed", "changed"
	p.same("Get after Import", p.get(r.Session.ID), r)
	p.restart()
	p.same("Get after Import and a restart", p.get(r.Session.ID), r)
	p.until(r.ReplayAt)
	next := p.renew(r.Session)
	p.same("the next revision", p.get(next.ID).Session, next)
}

func importBare(p *probe) {
	r := store.NewRecord(newSession())
	bare(&r.Session)
	r.DueAt = time.Time{}
	p.imports(r)
	p.same("Get after Import", p.get(r.Session.ID), r)
	p.same("due entry", p.due(r.Session.ID), store.DueEntry{})
}

func importOpen(p *probe) {
	r := p.opened(p.foreign())
	p.imports(r)
	want := r
	want.Attempt, want.InDoubt = nil, true
	p.same("Get after Import", p.get(r.Session.ID), want)
	force := p.intent(time.Hour)
	force.Force = true
	p.refuse("forced Begin before ReplayAt", r.Session.ID, 0, force, session.ErrNotYet)
	p.until(r.ReplayAt)
	a := p.begin(r.Session.ID)
	p.same("the replay's InDoubt", a.InDoubt, true)
	p.same("the replay's Fence", a.Fence, r.Fence+1)
	p.same("the replay's Tries", a.Tries, r.Tries+1)
}

func importIndexed(p *probe) {
	r := p.foreign()
	id := r.Session.ID
	p.imports(r)
	found := func(what string) {
		p.Helper()
		p.same("due entry"+what, p.due(id), store.DueEntry{ID: id, Revision: 7, DueAt: r.DueAt, Exp: r.Session.Token.Exp()})
		p.same("sessions of the user"+what, p.find(subjectOf(r.Session)), sorted(id))
		p.same("sessions of the OP session"+what, p.find(opSessionOf(r.Session)), sorted(id))
		p.lookup("Lookup"+what, id[:6], id)
		p.same("List"+what, p.list(10, nil), sorted(id))
		p.same("Reap by a use before the last"+what, p.reap(time.Now(), r.Used, 10), []session.ID(nil))
		p.same("Reap by a use after the last"+what, p.reap(time.Now(), r.Used.Add(time.Second), 10), sorted(id))
		p.same("Reap at the absolute end"+what, p.reap(r.Session.EndsAt, time.Time{}, 10), sorted(id))
	}
	found("")
	p.restart()
	found(" after a restart")
}

func importOverNewer(p *probe) {
	r := p.foreign()
	p.imports(r)
	p.touch(r.Session.ID, p.from(time.Minute))
	older, sooner := p.foreign(), p.foreign()
	older.Session.ID, older.Session.Revision, older.Fence = r.Session.ID, 6, 99
	sooner.Session.ID, sooner.Fence = r.Session.ID, 8
	for what, other := range map[string]store.Record{"the same": r, "the same with an attempt": p.opened(r), "an older revision": older, "an older attempt": sooner} {
		p.unchanged("Import of "+what, r.Session.ID, func() {
			p.is("Import of "+what, p.s.Import(p.ctx, other), session.ErrExists)
		})
	}
}

func importOverOlder(p *probe) {
	s := p.create()
	used := p.from(time.Hour)
	p.touch(s.ID, used)
	a := p.begin(s.ID)
	r := p.foreign() // of another sub and sid
	r.Session.ID = s.ID
	p.imports(r)
	r.Used = used
	p.same("Get after Import", p.get(s.ID), r)
	p.is("Commit of an attempt on what was replaced", p.s.Commit(p.ctx, a, renewed(s)), session.ErrMoved)
	p.same("sessions of the sub as it was", p.find(subjectOf(s)), []session.ID(nil))
	p.same("sessions of the sub as it is", p.find(subjectOf(r.Session)), sorted(s.ID))
	p.page("Due", p.from(50*time.Minute), time.Time{}, 10,
		[]store.DueEntry{{ID: s.ID, Revision: 7, DueAt: r.DueAt, Exp: r.Session.Token.Exp()}}, time.Time{})
	sooner := r.Used
	r.Fence++ // it was served once more where it came from
	r.Used = used.Add(time.Hour)
	p.imports(p.opened(r))
	p.same("Get after Import of the same revision after another attempt", p.get(s.ID), r)
	last := clone(r)
	last.Fence, last.Used = r.Fence+1, sooner
	p.imports(last)
	last.Used = r.Used
	r = last
	p.same("Get after Import of an earlier use", p.get(s.ID), r)
	p.restart()
	p.same("Get after a restart", p.get(s.ID), r)
}

func importOverTombstone(p *probe) {
	r := p.foreign()
	p.imports(r)
	p.end(r.Session.ID, session.ReasonLogout)
	r.Session.Revision++
	p.is("Import over a tombstone", p.s.Import(p.ctx, r), session.ErrEnded)
	p.gone("Import over a tombstone", r.Session.ID)
	p.same("sessions of the user", p.find(subjectOf(r.Session)), []session.ID(nil))
}

// buried expects Get to tell of just this tombstone.
func (p *probe) buried(what string, id session.ID, t store.Tombstone) {
	p.Helper()
	_, err := p.s.Get(p.ctx, id)
	end, ok := errors.AsType[*session.EndedError](err)
	if !ok {
		p.Errorf("%s: got %v, want ErrEnded", what, err)
		return
	}
	p.same(what, store.Tombstone{Reason: end.Reason, At: end.At, Until: end.Until, History: end.History}, t)
}

func (p *probe) grave() (session.ID, store.Tombstone) {
	return newSession().ID, store.Tombstone{
		Reason: session.ReasonForeign, At: p.from(-time.Minute), Until: p.from(time.Hour), History: p.foreign().History,
	}
}

func buryLeaves(p *probe) {
	id, t := p.grave()
	p.ok("Bury", p.s.Bury(p.ctx, id, t))
	p.buried("Get", id, t)
	p.restart()
	p.buried("Get after a restart", id, t)
	p.same("List", p.list(10, nil), sorted(id))
	again := newSession()
	again.ID = id
	p.is("Create over it", p.s.Create(p.ctx, again), session.ErrExists)
	p.reap(t.Until.Add(-1), time.Time{}, 10)
	p.gone("Reap before its end", id)
	p.until(t.Until)
	p.reap(time.Now(), time.Time{}, 10)
	_, err := p.s.Get(p.ctx, id)
	p.is("Get after Reap at its end", err, session.ErrNotFound)
}

func buryLive(p *probe) {
	s, other := p.create(), p.create()
	a := p.begin(s.ID)
	_, t := p.grave()
	from := time.Now()
	p.ok("Bury", p.s.Bury(p.ctx, s.ID, t))
	_, err := p.s.Get(p.ctx, s.ID)
	p.ended("Get", err, t.Reason, from, time.Now())
	p.is("Commit of an attempt", p.s.Commit(p.ctx, a, renewed(s)), session.ErrEnded)
	p.same("due entry", p.due(s.ID), store.DueEntry{})
	p.same("sessions of the user", p.find(subjectOf(s)), []session.ID(nil))
	p.same("another session", p.get(other.ID).Session, other)
}

func buryTwice(p *probe) {
	id, t := p.grave()
	p.ok("Bury", p.s.Bury(p.ctx, id, t))
	second := t
	second.Reason = session.ReasonLogout
	p.is("Bury again", p.s.Bury(p.ctx, id, second), session.ErrEnded)
	p.buried("Get", id, t)
}
