package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func raceChecks() []check {
	return []check{
		{"Race/of 64 Begins one gets the attempt, the rest ErrBusy with it", raceBegin},
		{"Race/64 Begins with one AttemptID get one Attempt", raceBeginSame},
		{"Race/of 64 Creates one succeeds", raceCreate},
		{"Race/of 16 Commits of a revision one succeeds", raceCommit},
		{"Race/of 64 Ends one gets the session", raceEnd},
		{"Race/End returns what a Commit beside it made", raceCommitEnd},
		{"Race/Begin, Commit, Fail and End at once keep every promise", raceMelee},
	}
}

// together runs f for 0..n-1 at once. In f only Errorf may be called.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() { <-start; f(i) })
	}
	close(start)
	all.Wait()
}

func raceBegin(p *probe) {
	s := p.create()
	var winner atomic.Pointer[store.Attempt]
	busy := make([]store.Record, 64)
	together(len(busy), func(i int) {
		r, a, err := p.s.Begin(p.ctx, s.ID, 1, p.intent(time.Hour))
		switch {
		case err == nil && !winner.CompareAndSwap(nil, &a):
			p.Errorf("two attempts were given: fence %d and %d", winner.Load().Fence, a.Fence)
		case err != nil:
			p.is("Begin of a loser", err, session.ErrBusy)
			busy[i] = r
		}
	})
	open := p.get(s.ID).Attempt
	p.same("the open attempt", open, winner.Load())
	for _, r := range busy {
		if r.Session.Revision != 0 { // a loser's
			p.same("the Record of ErrBusy", r.Attempt, open)
		}
	}
}

func raceBeginSame(p *probe) {
	s := p.create()
	in := p.intent(time.Hour)
	got := make([]store.Attempt, 64)
	together(len(got), func(i int) {
		_, a, err := p.s.Begin(p.ctx, s.ID, 1, in)
		if err != nil {
			p.Errorf("Begin with the same AttemptID: %v", err)
		}
		got[i] = a
	})
	for _, a := range got {
		p.same("Attempt", &a, p.get(s.ID).Attempt)
	}
}

func raceCreate(p *probe) {
	id := newSession().ID
	var won atomic.Pointer[session.Session]
	together(64, func(int) {
		s := newSession()
		s.ID = id
		err := p.s.Create(p.ctx, s)
		switch {
		case err == nil && !won.CompareAndSwap(nil, &s):
			p.Errorf("two Creates of one ID succeeded")
		case err != nil:
			p.is("Create of a loser", err, session.ErrExists)
		}
	})
	p.won(&won, id)
}

// 16 attempts on one revision, each given up but the last: any of them may have
// the tokens, and the first to say so wins.
func raceCommit(p *probe) {
	s := p.create()
	attempts := make([]store.Attempt, 16)
	for i := range attempts {
		attempts[i] = p.begin(s.ID)
		if i < len(attempts)-1 {
			p.fail(attempts[i], session.Failure{Class: session.Transient})
		}
	}
	var won atomic.Pointer[session.Session]
	together(len(attempts), func(i int) {
		next := renewed(s)
		err := p.s.Commit(p.ctx, attempts[i], next)
		switch {
		case err == nil && !won.CompareAndSwap(nil, &next):
			p.Errorf("two Commits of one revision succeeded")
		case err != nil:
			p.is("Commit of a loser", err, session.ErrMoved)
		}
	})
	p.won(&won, s.ID)
}

// won expects somebody to have won, and the store to tell who.
func (p *probe) won(winner *atomic.Pointer[session.Session], id session.ID) {
	p.Helper()
	s := winner.Load()
	if s == nil {
		p.Fatalf("nobody won")
	}
	p.same("the winner's session", p.get(id).Session, *s)
}

func raceEnd(p *probe) {
	s := p.create()
	var ended atomic.Int32
	together(64, func(int) {
		last, err := p.s.End(p.ctx, s.ID, session.ReasonLogout, store.Cond{})
		if err != nil {
			p.Errorf("End: %v", err)
		}
		if last.Revision != 0 {
			ended.Add(1)
		}
	})
	p.same("Ends that returned the session", ended.Load(), int32(1))
}

// A logout beside a refresh: the tokens that End returns, or those whose Commit
// is told ErrEnded, are the ones to revoke. None may slip through.
func raceCommitEnd(p *probe) {
	for range 16 {
		s := p.create()
		a, next := p.begin(s.ID), renewed(s)
		var committed error
		var last session.Session
		together(2, func(i int) {
			if i == 0 {
				committed = p.s.Commit(p.ctx, a, next)
				return
			}
			var err error
			if last, err = p.s.End(p.ctx, s.ID, session.ReasonLogout, store.Cond{}); err != nil {
				p.Errorf("End: %v", err)
			}
		})
		switch {
		case committed == nil:
			p.same("the session End returns after a Commit", last, next)
		case errors.Is(committed, session.ErrEnded):
			p.same("the session End returns before a Commit", last, s)
		default:
			p.Errorf("Commit beside End: %v", committed)
		}
	}
}
