package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func walkChecks() []check {
	return []check{{"Walk/any sequence of steps agrees with the model", walkAll}}
}

// walkAll takes the same walks every time: what fails once fails again.
func walkAll(p *probe) {
	const walks, steps = 60, 25
	for n := range uint64(walks) {
		s := p.create()
		w := &walk{probe: p, rng: rand.New(rand.NewPCG(n, 2)), id: s.ID, m: model{current: s, used: s.CreatedAt, leased: p.b.Leased}}
		for step := range steps {
			what := w.step()
			if !w.agrees() {
				p.Fatalf("walk %d parts from the model at step %d, %s", n, step, what)
			}
		}
	}
}

// walk is one session's random history, in the store and in the model.
type walk struct {
	*probe
	rng      *rand.Rand
	id       session.ID
	m        model
	intents  []store.Intent
	attempts []store.Attempt
	bad      bool
}

// step does the same thing to both and says what it was.
func (w *walk) step() string {
	switch n := w.rng.IntN(100); {
	case n < 35:
		return w.stepBegin()
	case n < 60:
		return w.stepFail()
	case n < 72:
		return w.stepCommit()
	case n < 78:
		a := w.attempt()
		w.equal("Extend", w.s.Extend(w.ctx, a, time.Minute), w.m.extend(a, time.Now().Add(time.Minute)))
		return "Extend"
	case n < 82:
		return w.stepEnd()
	case n < 87:
		at := w.m.used.Add(time.Duration(w.rng.IntN(120)-60) * time.Second)
		w.touch(w.id, at)
		if at.After(w.m.used) {
			w.m.used = at
		}
		return "Touch"
	case n < 92:
		w.restart()
		w.m.alive = w.m.leased && w.m.alive
		return "a restart"
	default:
		w.b.Sleep(time.Duration(w.rng.IntN(20)) * time.Minute)
		return "a while"
	}
}

func (w *walk) stepBegin() string {
	in := w.intent(w.minutes())
	in.Force = w.rng.IntN(4) == 0
	if n := len(w.intents); n > 0 && w.rng.IntN(4) == 0 {
		in = w.intents[n-1] // the reply was lost
		in.Owner = w.owner
	}
	w.intents = append(w.intents, in)
	rev := session.Revision(w.rng.IntN(3))
	want, wantErr := w.m.begin(rev, in, time.Now())
	r, a, err := w.s.Begin(w.ctx, w.id, rev, in)
	w.equal("Begin", err, wantErr)
	if err == nil && w.m.open != nil && a.Began.Sub(w.m.open.Began).Abs() < time.Second { // the store's own clock
		want.Began, w.m.open.Began = a.Began, a.Began
	}
	w.alike("Attempt of Begin", a, want)
	if !errors.Is(err, session.ErrEnded) {
		w.alike("Record of Begin", r, w.m.record())
	}
	if err == nil {
		w.attempts = append(w.attempts, a)
	}
	return fmt.Sprintf("Begin(%d, Force %v)", rev, in.Force)
}

func (w *walk) stepFail() string {
	a := w.attempt()
	classes := []session.Class{session.Transient, session.Unknown, session.Unknown, session.Refused, session.Dead}
	f := session.Failure{Class: classes[w.rng.IntN(len(classes))], Sent: w.rng.IntN(3) > 0}
	if !f.Sent && w.rng.IntN(2) == 0 {
		f.Class = 0 // given up
	}
	if f.Class == session.Unknown {
		f.Sent = true
	}
	if w.rng.IntN(2) == 0 {
		f.NotBefore = w.from(w.minutes())
	}
	if f.Sent && w.rng.IntN(2) == 0 {
		f.ReplayAt = w.from(w.minutes())
	}
	w.equal("Fail", w.s.Fail(w.ctx, a, f), w.m.fail(a, f))
	return fmt.Sprintf("Fail(%v, sent %v)", f.Class, f.Sent)
}

func (w *walk) stepCommit() string {
	a := w.attempt()
	next := renewed(w.m.current)
	next.Revision = a.Revision + 1
	w.equal("Commit", w.s.Commit(w.ctx, a, next), w.m.commit(a, next))
	return fmt.Sprintf("Commit(fence %d)", a.Fence)
}

func (w *walk) stepEnd() string {
	a := w.attempt()
	only := []store.Cond{
		{},
		{Attempt: &a}, {Attempt: &a}, {Attempt: &a},
		{Revision: a.Revision, Fence: a.Fence}, {Revision: a.Revision, Fence: a.Fence},
		{UnusedSince: w.from(-w.minutes())},
	}[w.rng.IntN(7)]
	want, wantErr := w.m.end(only)
	last, err := w.s.End(w.ctx, w.id, session.ReasonLogout, only)
	w.equal("End", err, wantErr)
	w.alike("the session End returns", last, want)
	return "End"
}

func (w *walk) minutes() time.Duration { return time.Duration(w.rng.IntN(30)) * time.Minute }

// attempt is mostly the newest, sometimes an old one, and before any is begun
// one that never was.
func (w *walk) attempt() store.Attempt {
	n := len(w.attempts)
	switch {
	case n == 0:
		return store.Attempt{ID: newAttemptID(), SessionID: w.id, Revision: 1, Fence: 1}
	case w.rng.IntN(3) > 0:
		return w.attempts[n-1]
	default:
		return w.attempts[w.rng.IntN(n)]
	}
}

func (w *walk) equal(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.bad = true
		w.Errorf("%s: got error %v, the model %v", what, err, want)
	}
}

func (w *walk) alike(what string, got, want any) {
	w.Helper()
	w.bad = w.bad || len(diff(got, want)) > 0
	w.same(what, got, want)
}

// agrees compares what can be read now.
func (w *walk) agrees() bool {
	w.Helper()
	r, err := w.s.Get(w.ctx, w.id)
	if w.m.ended {
		w.equal("Get", err, session.ErrEnded)
	} else {
		w.equal("Get", err, nil)
		w.alike("Record", r, w.m.record())
	}
	return !w.bad
}
