package storetest

import (
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func brokenBegin() []broken {
	return []broken{
		{
			"Begin creates what it does not find",
			flaw{method: "Begin", after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrNotFound) {
					c.err = nil
				}
			}},
			[]string{"Begin/of a missing session is ErrNotFound"},
		},
		{
			"Begin gives the attempt without its fence",
			flaw{method: "Begin", after: func(_ *flawed, c *call) { c.open.Fence = 0 }},
			[]string{
				"Begin/opens an attempt on the current revision", "Begin/fences rise over Fail, Commit and a restart", meleeCheck,
			},
		},
		{
			"Begin does not write ReplayAt",
			flaw{method: "Begin", before: func(_ *flawed, c *call) { c.in.ReplayAt = time.Time{} }},
			[]string{
				"Begin/opens an attempt on the current revision",
				"Begin/over a dead owner's attempt is ErrNotYet until ReplayAt, forced or not",
			},
		},
		{
			"Begin takes revision 0 for a revision",
			flaw{method: "Begin", before: func(_ *flawed, c *call) {
				if c.rev == 0 {
					c.rev = 1
				}
			}},
			[]string{"Begin/revision 0 is whatever is current"},
		},
		{
			"Begin ignores the revision",
			flaw{method: "Begin", before: func(_ *flawed, c *call) { c.rev = 0 }},
			[]string{walkCheck, "Begin/another revision is ErrMoved with the winner's Record"},
		},
	}
}

func brokenBeginAgain() []broken {
	return []broken{
		{
			"Begin refuses without the Record",
			flaw{method: "Begin", after: func(_ *flawed, c *call) {
				if c.err != nil {
					c.r = store.Record{}
				}
			}},
			[]string{
				"Begin/another revision is ErrMoved with the winner's Record",
				"Begin/over a living owner's attempt is ErrBusy with the Record",
				"Begin/NotBefore holds back and Force passes it",
				"Begin/in doubt, ReplayAt holds back and Force does not pass it",
			},
		},
		{
			"Begin answers before the intent is durable",
			flaw{method: "Begin", before: forget},
			[]string{"Begin/the intent is durable when it returns"},
		},
		{
			"Begin draws an AttemptID of its own",
			flaw{method: "Begin", before: func(_ *flawed, c *call) { c.in.AttemptID = newAttemptID() }},
			[]string{walkCheck, "Begin/the same AttemptID is the same Attempt again", "Race/64 Begins with one AttemptID get one Attempt"},
		},
		{
			"Begin lets a second attempt in while the first's owner lives",
			flaw{method: "Begin", after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrBusy) {
					c.open, c.err = store.Attempt{ID: c.in.AttemptID, SessionID: c.id}, nil
				}
			}},
			[]string{"Begin/over a living owner's attempt is ErrBusy with the Record"},
		},
	}
}

func brokenBeginOver() []broken {
	return []broken{
		{
			"Begin believes in dead owners",
			flaw{method: "Begin", after: func(f *flawed, c *call) {
				if errors.Is(c.err, session.ErrNotYet) && c.r.Attempt != nil {
					c.err = session.ErrBusy
				}
			}},
			[]string{
				"Begin/over a dead owner's attempt is ErrNotYet until ReplayAt, forced or not", "Crash/of a replay's owner is in doubt still",
				"Crash/after Begin, the POST or the answer is the same open attempt, in doubt until ReplayAt",
			},
		},
		{
			"Begin forgets that it replaces an open attempt",
			flaw{method: "Begin", after: func(_ *flawed, c *call) { c.open.InDoubt = false }},
			[]string{
				"Begin/over a dead owner's attempt after ReplayAt is in doubt",
				"Begin/in doubt, ReplayAt holds back and Force does not pass it",
			},
		},
		{
			"Begin forgets ReplayAt as it found it",
			flaw{method: "Begin", after: func(_ *flawed, c *call) { c.open.FoundReplayAt = time.Time{} }},
			[]string{walkCheck, "Begin/over a dead owner's attempt after ReplayAt is in doubt"},
		},
		{
			"Begin does not know Force",
			flaw{method: "Begin", before: func(_ *flawed, c *call) { c.in.Force = false }},
			[]string{"Begin/NotBefore holds back and Force passes it"},
		},
		{
			"Force passes everything",
			flaw{method: "Begin", after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrNotYet) && c.in.Force {
					c.err = nil
				}
			}},
			[]string{
				walkCheck,
				"Begin/in doubt, ReplayAt holds back and Force does not pass it",
				"Begin/over a dead owner's attempt is ErrNotYet until ReplayAt, forced or not",
				"Begin/order/Force passes NotBefore and meets ReplayAt",
			},
		},
		{
			"Tries starts over with each attempt",
			flaw{method: "Begin", after: func(_ *flawed, c *call) { c.open.Tries = 1 }},
			[]string{"Begin/Tries counts since the last Commit"},
		},
	}
}

// turned answers now where the order says first, provided that the other
// condition holds too.
func turned(name string, first error, other func(*call) bool, now error, caught string) broken {
	return broken{"Begin looks at " + name, flaw{method: "Begin", after: func(_ *flawed, c *call) {
		if errors.Is(c.err, first) && other(c) {
			c.err = now
		}
	}}, []string{"Begin/order/" + caught}}
}

// deaf refuses a lost reply's retry where another condition holds too.
func deaf(name string, other func(*flawed, store.Record) bool, now error, caught string) broken {
	return broken{"Begin looks at " + name, flaw{method: "Begin", before: func(f *flawed, c *call) {
		if r := f.record(c.id); r.Attempt != nil && r.Attempt.ID == c.in.AttemptID && other(f, r) {
			c.r = r
			c.answer(now)
		}
	}}, []string{"Begin/order/" + caught}}
}

func brokenOrder() []broken {
	always := func(*call) bool { return true }
	same := func(c *call) bool { return c.r.Attempt != nil && c.r.Attempt.ID == c.in.AttemptID }
	busy := func(c *call) bool { return c.r.Attempt != nil && c.r.Attempt.ID != c.in.AttemptID }
	backOff := func(c *call) bool { return time.Now().Before(c.r.NotBefore) }
	doubt := func(c *call) bool { return c.r.InDoubt && time.Now().Before(c.r.ReplayAt) }
	return []broken{
		turned("the revision before the tombstone", session.ErrEnded, always, session.ErrMoved, "ended before moved"),
		turned("the AttemptID before the tombstone", session.ErrEnded, always, nil, "ended before the same AttemptID"),
		turned("the AttemptID before the revision", session.ErrMoved, same, nil, "moved before the same AttemptID"),
		turned("the open attempt before the revision", session.ErrMoved, busy, session.ErrBusy, "moved before busy"),
		turned("NotBefore before the revision", session.ErrMoved, backOff, session.ErrNotYet, "moved before NotBefore"),
		turned("ReplayAt before the revision", session.ErrMoved, doubt, session.ErrNotYet, "moved before ReplayAt"),
		turned("NotBefore before the open attempt", session.ErrBusy, backOff, session.ErrNotYet, "busy before NotBefore"),
		turned("ReplayAt before the open attempt", session.ErrBusy, doubt, session.ErrNotYet, "busy before ReplayAt"),
		deaf("the owner before the AttemptID", func(*flawed, store.Record) bool { return true },
			session.ErrBusy, "the same AttemptID before busy"),
		deaf("NotBefore before the AttemptID", func(_ *flawed, r store.Record) bool { return time.Now().Before(r.NotBefore) },
			session.ErrNotYet, "the same AttemptID before NotBefore"),
		deaf("a dead owner's ReplayAt before the AttemptID", func(f *flawed, _ store.Record) bool { return f.restarted },
			session.ErrNotYet, "the same AttemptID before a dead owner's ReplayAt"),
	}
}
