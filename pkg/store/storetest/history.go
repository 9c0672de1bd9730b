package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func historyChecks() []check {
	return []check{
		{"History/tells every outcome, oldest first, and none of what was given up", historyTells},
		{"History/keeps the newest", historyKeeps},
		{"History/survives a restart", historyRestart},
		{"History/goes with the tombstone", historyEnds},
		{"History/ends with the verdict that ended the session", historyVerdict},
		{"History/is the reader's own", historyValues},
		{"Lookup/by the whole ID and by its beginning, live or ended", lookupFinds},
		{"Lookup/at most limit", lookupLimit},
		{"Lookup/survives a restart", lookupRestart},
	}
}

// lived brings a session with a failure, a renewal and a replay in its history.
func (p *probe) lived() (session.Session, []session.Outcome) {
	p.Helper()
	s := p.create()
	var all []session.Outcome
	for _, class := range []session.Class{session.Refused, session.Unknown} {
		a := p.begin(s.ID)
		p.fail(a, session.Failure{Class: class, Sent: true, ReplayAt: p.from(time.Second)})
		all = append(all, outcome(a, class))
		p.b.Sleep(time.Minute)
	}
	p.fail(p.begin(s.ID), session.Failure{}) // given up
	a, next := p.begin(s.ID), renewed(s)
	p.commit(a, next)
	all = append(all, outcome(a, session.Renewed))
	a = p.begin(s.ID)
	p.fail(a, session.Failure{Class: session.Transient})
	return next, append(all, outcome(a, session.Transient))
}

func historyTells(p *probe) {
	s, want := p.lived()
	r := p.get(s.ID)
	p.same("History", r.History, want)
	p.fail(p.begin(s.ID), session.Failure{})
	p.same("History after an attempt was given up", p.get(s.ID).History, want)
	p.same("LastClass after it", p.get(s.ID).LastClass, session.Transient)
}

func historyKeeps(p *probe) {
	s := p.create()
	var all []session.Outcome
	for range session.HistoryLen + 2 {
		a := p.begin(s.ID)
		s = renewed(s)
		p.commit(a, s)
		all = append(all, outcome(a, session.Renewed))
	}
	p.same("History", p.get(s.ID).History, all[2:])
}

func historyRestart(p *probe) {
	s, want := p.lived()
	p.restart()
	p.same("History after a restart", p.get(s.ID).History, want)
}

// past is what a tombstone tells.
func (p *probe) past(id session.ID) []session.Outcome {
	p.Helper()
	_, err := p.s.Get(p.ctx, id)
	e, ok := errors.AsType[*session.EndedError](err)
	if !ok {
		p.Fatalf("Get: got error %v, want *session.EndedError", err)
	}
	return e.History
}

func historyEnds(p *probe) {
	s, want := p.lived()
	p.begin(s.ID)
	p.end(s.ID, session.ReasonLogout)
	p.same("History of a tombstone", p.past(s.ID), want)
	p.restart()
	p.same("History of a tombstone after a restart", p.past(s.ID), want)
}

func historyVerdict(p *probe) {
	for why, class := range map[session.Reason]session.Class{
		session.ReasonDead: session.Dead, session.ReasonLostAnswer: session.Dead, session.ReasonForeign: session.Foreign, session.ReasonInDoubt: 0,
	} {
		s, want := p.lived()
		a := p.begin(s.ID)
		_, err := p.s.End(p.ctx, s.ID, why, store.Cond{Attempt: &a})
		p.ok("End", err)
		if class != 0 {
			want = append(want, outcome(a, class))
		}
		p.same("History of a session that ended as "+string(why), p.past(s.ID), want)
	}
}

func historyValues(p *probe) {
	s, want := p.lived()
	p.get(s.ID).History[0].By = "changed"
	p.same("History after a reader changed what Get returned", p.get(s.ID).History, want)
	p.end(s.ID, session.ReasonLogout)
	p.past(s.ID)[0].By = "changed"
	p.same("History after a reader changed what ErrEnded came with", p.past(s.ID), want)
}

// lookup expects exactly want, in any order.
func (p *probe) lookup(what string, prefix []byte, want ...session.ID) {
	p.Helper()
	got, err := p.s.Lookup(p.ctx, prefix, 10)
	p.ok(what, err)
	for _, id := range want {
		if !slices.Contains(got, id) {
			p.Errorf("%s: %v is missing in %v", what, id, got)
		}
	}
	if len(got) != len(want) {
		p.Errorf("%s: got %d sessions, want %d", what, len(got), len(want))
	}
}

// alike brings two sessions whose IDs begin with the same six bytes.
func (p *probe) alike() (one, two session.Session) {
	p.Helper()
	one = p.create()
	two = p.create(func(s *session.Session) { copy(s.ID[:6], one.ID[:6]) })
	return one, two
}

func lookupFinds(p *probe) {
	other := p.create()
	one, two := p.alike()
	for _, state := range []string{"live", "one ended"} {
		p.lookup("Lookup of a whole ID, "+state, one.ID[:], one.ID)
		p.lookup("Lookup of its first bytes, "+state, one.ID[:6], one.ID, two.ID)
		p.lookup("Lookup of nothing, "+state, nil, one.ID, two.ID, other.ID)
		p.end(one.ID, session.ReasonIdle)
	}
	never := newSession().ID
	p.lookup("Lookup of a session that never was", never[:])
	_, err := p.s.Reap(p.ctx, one.EndsAt, time.Time{}, 10)
	p.ok("Reap", err)
	p.lookup("Lookup after the tombstone's end", one.ID[:6], two.ID)
}

func lookupLimit(p *probe) {
	one, _ := p.alike()
	p.end(one.ID, session.ReasonIdle)
	got, err := p.s.Lookup(p.ctx, one.ID[:6], 1)
	p.ok("Lookup", err)
	p.same("how many", len(got), 1)
}

func lookupRestart(p *probe) {
	one, two := p.alike()
	p.end(one.ID, session.ReasonIdle)
	p.restart()
	p.lookup("Lookup after a restart", one.ID[:6], one.ID, two.ID)
}
