package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// probe is one check's hold on one store.
type probe struct {
	testing.TB
	b     Backend
	s     Full
	ctx   context.Context
	owner string // this incarnation
}

func newProbe(t testing.TB, b Backend) *probe {
	if b.Sleep == nil {
		b.Sleep = time.Sleep
	}
	return &probe{TB: t, b: b, s: &watched{b.Open(t), t}, ctx: t.Context(), owner: "incarnation 1"}
}

// restart goes on with another incarnation. Whoever owned an attempt is dead.
func (p *probe) restart() {
	p.Helper()
	p.s = &watched{p.b.Restart(p.TB, p.s.(*watched).Full), p.TB}
	p.owner += "+1"
}

// until lets time pass up to at.
func (p *probe) until(at time.Time) { p.b.Sleep(time.Until(at)) }

// from is the instant d from now, and odd: a store that rounds is found out.
func (p *probe) from(d time.Duration) time.Time { return time.Now().Round(0).Add(d + 7) }

// create stores a new session, changed by each of with.
func (p *probe) create(with ...func(*session.Session)) session.Session {
	p.Helper()
	s := newSession()
	for _, f := range with {
		f(&s)
	}
	p.ok("Create", p.s.Create(p.ctx, s))
	return s
}

func (p *probe) get(id session.ID) store.Record {
	p.Helper()
	r, err := p.s.Get(p.ctx, id)
	p.ok("Get", err)
	return r
}

// intent is a new intent of this incarnation; replay is from now.
func (p *probe) intent(replay time.Duration) store.Intent {
	return store.Intent{
		AttemptID: newAttemptID(), Owner: p.owner,
		Lease: 3 * time.Second, Deadline: 10 * time.Second, ReplayAt: p.from(replay), By: "request",
	}
}

// begin opens an attempt on the current revision; a replay is allowed after an hour.
func (p *probe) begin(id session.ID) store.Attempt {
	p.Helper()
	_, a, err := p.s.Begin(p.ctx, id, 0, p.intent(time.Hour))
	p.ok("Begin", err)
	return a
}

// renew makes the next revision of s and returns it.
func (p *probe) renew(s session.Session) session.Session {
	p.Helper()
	next := renewed(s)
	p.ok("Commit", p.s.Commit(p.ctx, p.begin(s.ID), next))
	return next
}

func (p *probe) fail(a store.Attempt, f session.Failure) {
	p.Helper()
	p.ok("Fail", p.s.Fail(p.ctx, a, f))
}

func (p *probe) touch(id session.ID, used time.Time) {
	p.Helper()
	p.ok("Touch", p.s.Touch(p.ctx, map[session.ID]time.Time{id: used}))
}

// due is id's entry in the due index, whenever it is due; zero: none. It does
// not expire or park anything.
func (p *probe) due(id session.ID) store.DueEntry {
	p.Helper()
	page, _, err := p.s.Due(p.ctx, time.Now().Add(59*time.Minute), time.Time{}, 1000)
	p.ok("Due", err)
	for _, e := range page {
		if e.ID == id {
			return e
		}
	}
	return store.DueEntry{}
}

func (p *probe) end(id session.ID, why session.Reason) session.Session {
	p.Helper()
	s, err := p.s.End(p.ctx, id, why, store.Cond{})
	p.ok("End", err)
	return s
}

// ok stops the check at an error nobody promised.
func (p *probe) ok(what string, err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// is expects a sentinel.
func (p *probe) is(what string, err, want error) {
	p.Helper()
	if !errors.Is(err, want) {
		p.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// same expects got to equal want in every field; see diff.
func (p *probe) same(what string, got, want any) {
	p.Helper()
	for _, d := range diff(got, want) {
		p.Errorf("%s: %s", what, d)
	}
}

// unchanged expects f to leave the record as it is.
func (p *probe) unchanged(what string, id session.ID, f func()) {
	p.Helper()
	before := clone(p.get(id))
	f()
	p.same(what+" must have no effect", p.get(id), before)
}
