package schedules

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// flaw is a rule that a world lacks.
type flaw string

const (
	noFenceInEnd         flaw = "no fence in End"
	forcePassesReplayAt  flaw = "Force passes ReplayAt"
	commitWithoutCompare flaw = "Commit without compare"
	failClearsDoubt      flaw = "Fail clears the doubt"
	deadlineFromThePost  flaw = "deadline from the POST"
)

// budget is how much of each trouble one schedule may have.
type budget struct{ crash, lose, busy, twice, pause, outage, logout, force int }

func fullBudget() budget {
	return budget{crash: 2, lose: 2, busy: 2, twice: 2, pause: 1, outage: 1, logout: 1, force: 1}
}

// move is one choice.
type move struct {
	name string
	do   func()
}

// options are what may happen next. The first is the ordinary course: the
// oldest held step goes on, or time passes until something happens.
func (w *world) options() (options []move) {
	add := func(name string, do func()) { options = append(options, move{name, do}) }
	w.mu.Lock()
	steps := slices.DeleteFunc(slices.Clone(w.held), func(h *held) bool { return h.engine.paused != nil })
	w.mu.Unlock()
	slices.SortStableFunc(steps, func(a, b *held) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.engine.seat, b.engine.seat), cmp.Compare(a.what, b.what))
	})
	for _, h := range steps {
		add(fmt.Sprint(h, " goes on"), func() { w.let(h, pass) })
	}
	mark, next := w.nextMark()
	add("time passes until "+mark, func() { w.wait(next) })
	for _, h := range steps {
		for _, v := range h.verdicts[1:] {
			if left := w.budget.of(v); *left > 0 {
				add(fmt.Sprint(h, ": ", v), func() { *left--; w.let(h, v) })
			}
		}
	}
	if len(steps) > 0 {
		add("a second passes", func() { w.wait(time.Now().Add(1100 * time.Millisecond)) })
	}
	for _, e := range w.engines {
		w.optionsOf(e, add)
	}
	if w.budget.outage > 0 {
		add("the store is down", func() { w.budget.outage--; w.setDown(true) })
	}
	if w.down {
		add("the store is back", func() { w.setDown(false) })
	}
	return options
}

// of is what is left of the budget for a verdict.
func (b *budget) of(v verdict) *int {
	switch v {
	case lose, drop:
		return &b.lose
	case busy:
		return &b.busy
	default:
		return &b.twice
	}
}

func (w *world) optionsOf(e *engine, add func(string, func())) {
	if e.paused != nil {
		add(e.name()+" resumes", func() { w.resume(e) })
		return
	}
	if w.budget.crash > 0 {
		add(e.name()+" crashes", func() { w.budget.crash--; w.crash(e) })
	}
	if w.budget.pause > 0 {
		add(e.name()+" is paused", func() { w.budget.pause--; w.pause(e) })
	}
	if w.budget.force > 0 {
		add("an operator at "+e.name(), func() { w.budget.force--; e.force() })
	}
	if w.budget.logout > 0 {
		add("logout at "+e.name(), func() { w.budget.logout--; e.logout() })
	}
}

// nextMark is the next instant at which something may change.
func (w *world) nextMark() (name string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	name, at = "half a minute later", now.Add(30*time.Second)
	mark := func(what string, t time.Time) {
		if t.After(now) && t.Before(at) {
			name, at = what, t
		}
	}
	r, err := w.mem.Get(context.Background(), w.id)
	if err != nil {
		return name, at
	}
	window := w.policy.Window(r.Session)
	mark("the token is due", window.DueAt)
	mark("the token is expired", window.ExpiredAt)
	mark("the token's end", window.Exp)
	mark("the replay", r.ReplayAt)
	mark("the back-off's end", r.NotBefore)
	for _, e := range w.engines {
		if !e.begun.attempt.Began.IsZero() {
			mark("a second before the deadline of "+e.name(), e.begun.attempt.Began.Add(deadline-time.Second))
			mark("the lease's end of "+e.name(), e.begun.attempt.Began.Add(ownerDead))
		}
	}
	return name, at
}

// wait lets time pass until a step arrives, at the latest until then; at that
// moment the user comes, to both processes.
func (w *world) wait(until time.Time) {
	select {
	case <-w.arrived:
	default:
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-w.arrived:
	case <-t.C:
		for _, e := range w.engines {
			if e.paused == nil {
				e.visit()
			}
		}
	}
}

func (w *world) crash(e *engine) {
	w.mu.Lock()
	e.dead, e.holds = true, 0
	mine := slices.DeleteFunc(slices.Clone(w.held), func(h *held) bool { return h.engine != e })
	w.mu.Unlock()
	for _, h := range mine {
		w.let(h, gone)
	}
	w.graves.Go(func() { _ = e.end() })
	next := w.newEngine(e.seat)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.engines[e.seat] = next
}

func (w *world) pause(e *engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.paused = make(chan struct{})
}

func (w *world) resume(e *engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.paused != nil {
		close(e.paused)
		e.paused = nil
	}
}

func (w *world) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}
