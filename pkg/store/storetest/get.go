package storetest

import (
	"errors"
	"maps"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

func getChecks() []check {
	return []check{
		{"Get/of a missing session is ErrNotFound", getMissing},
		{"Get/of a tombstone is ErrEnded with reason and time", getEnded},
		{"Get/during an attempt is revision n with the Attempt", getDuringAttempt},
		{"Values/given to Create stay the caller's", valuesOfCreate},
		{"Values/given to Commit stay the caller's", valuesOfCommit},
		{"Values/read from the store are the reader's", valuesOfReader},
	}
}

func getMissing(p *probe) {
	p.create()
	_, err := p.s.Get(p.ctx, newSession().ID)
	p.is("Get of a session that never was", err, session.ErrNotFound)
}

func getEnded(p *probe) {
	s := p.create()
	from := time.Now()
	p.end(s.ID, session.ReasonIdle)
	till := time.Now()
	p.b.Sleep(time.Minute)
	_, err := p.s.Get(p.ctx, s.ID)
	p.ended("Get of a tombstone", err, session.ReasonIdle, from, till)
}

// ended expects ErrEnded with what the End between from and till left.
func (p *probe) ended(what string, err error, why session.Reason, from, till time.Time) {
	p.Helper()
	e, ok := errors.AsType[*session.EndedError](err)
	switch {
	case !ok:
		p.Errorf("%s: got error %v, want *session.EndedError", what, err)
	case e.Reason != why:
		p.Errorf("%s: got reason %q, want %q", what, e.Reason, why)
	default:
		p.between(what+": ended at", e.At, from, till)
	}
}

// between expects a time of the store's clock.
func (p *probe) between(what string, got, from, till time.Time) {
	p.Helper()
	if got.Before(from.Round(0)) || got.After(till.Round(0)) {
		p.Errorf("%s: %v, want a time from %v to %v", what, got, from, till)
	}
}

func getDuringAttempt(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	r := p.get(s.ID)
	p.same("Get during an attempt", r.Session, s)
	p.same("Attempt of Get", r.Attempt, &a)
}

func valuesOfCreate(p *probe) {
	given := newSession()
	want := given
	want.Identity.Claims = maps.Clone(given.Identity.Claims)
	p.ok("Create", p.s.Create(p.ctx, given))
	given.Identity.Claims["groups"] = "changed"
	p.same("Get after the map given to Create changed", p.get(given.ID).Session, want)
}

func valuesOfCommit(p *probe) {
	s := p.create()
	given := renewed(s)
	want := given
	want.Identity.Claims = maps.Clone(given.Identity.Claims)
	p.ok("Commit", p.s.Commit(p.ctx, p.begin(s.ID), given))
	given.Identity.Claims["groups"] = "changed"
	p.same("Get after the map given to Commit changed", p.get(s.ID).Session, want)
}

func valuesOfReader(p *probe) {
	s := p.create()
	in := p.intent(time.Hour)
	begun, _, err := p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	p.unchanged("changing what Begin returned", s.ID, func() {
		begun.Session.Identity.Claims["groups"] = "changed"
		begun.Attempt.Owner = "changed"
	})
	p.unchanged("changing what Get returned", s.ID, func() {
		got := p.get(s.ID)
		got.Session.Identity.Claims["groups"] = "changed"
		got.Attempt.Owner = "changed"
	})
	p.unchanged("changing what ErrBusy came with", s.ID, func() {
		busy, _, err := p.s.Begin(p.ctx, s.ID, 0, p.intent(time.Hour))
		p.is("Begin over an open attempt", err, session.ErrBusy)
		busy.Session.Identity.Claims["groups"] = "changed"
		busy.Attempt.Owner = "changed"
	})
}
