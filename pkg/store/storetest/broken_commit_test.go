package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// turn makes method answer now where it should answer first.
func turn(method string, first, now error) flaw {
	return flaw{method: method, after: func(_ *flawed, c *call) {
		if errors.Is(c.err, first) {
			c.err = now
		}
	}}
}

// commitRefuses answers ErrMoved to a Commit that when holds for.
func commitRefuses(when func(*flawed, *call, store.Record) bool) flaw {
	return flaw{method: "Commit", before: func(f *flawed, c *call) {
		if when(f, c, f.record(c.id)) {
			c.answer(session.ErrMoved)
		}
	}}
}

// commitKeeps lets a field of the record before a Commit show after it.
func commitKeeps(field string, keep func(now *store.Record, before store.Record)) broken {
	return broken{"Commit leaves " + field, flaw{method: "Commit", before: func(f *flawed, c *call) {
		before := f.record(c.id)
		f.lie = func(r *store.Record) { keep(r, before) }
	}}, []string{"Commit/clears attempt, doubt, ReplayAt, NotBefore and Failures"}}
}

func brokenCommit() []broken {
	return []broken{
		commitKeeps("the attempt", func(now *store.Record, before store.Record) { now.Attempt = before.Attempt }),
		commitKeeps("the doubt", func(now *store.Record, before store.Record) { now.InDoubt = before.InDoubt }),
		commitKeeps("ReplayAt", func(now *store.Record, before store.Record) { now.ReplayAt = before.ReplayAt }),
		commitKeeps("NotBefore", func(now *store.Record, before store.Record) { now.NotBefore = before.NotBefore }),
		commitKeeps("Failures", func(now *store.Record, before store.Record) { now.Failures = before.Failures }),
		commitKeeps("LastClass", func(now *store.Record, before store.Record) { now.LastClass = before.LastClass }),
		{
			"Commit leaves DueAt",
			flaw{method: "Commit", before: func(f *flawed, c *call) {
				before := f.record(c.id)
				f.lie = func(r *store.Record) { r.DueAt = before.DueAt }
			}},
			[]string{"Commit/makes next the current revision, due at its SweepAt"},
		},
		{
			"Commit forgets the fence",
			flaw{method: "Commit", after: func(f *flawed, _ *call) { f.lie = func(r *store.Record) { r.Fence = 0 } }},
			[]string{"Commit/makes next the current revision, due at its SweepAt", "Begin/fences rise over Fail, Commit and a restart"},
		},
		{
			"Commit answers before it is durable",
			flaw{method: "Commit", before: forget},
			[]string{"Commit/is durable when it returns", "Crash/after Commit is revision n+1"},
		},
		{"Commit of a missing session is nil", turn("Commit", session.ErrNotFound, nil), []string{"Commit/of a missing session is ErrNotFound"}},
	}
}

func brokenCommitOnce() []broken {
	return []broken{
		{
			"Commit wants its attempt open",
			commitRefuses(func(_ *flawed, c *call, r store.Record) bool { return !r.Holds(c.a) }),
			[]string{"Commit/after Fail succeeds", "Commit/under a newer fence succeeds", "Commit/repeated after success is nil"},
		},
		{
			"Commit wants the newest fence",
			commitRefuses(func(_ *flawed, c *call, r store.Record) bool { return r.Fence != c.a.Fence }),
			[]string{walkCheck, "Commit/under a newer fence succeeds"},
		},
		{
			"Commit wants an owner of this incarnation",
			commitRefuses(func(f *flawed, _ *call, _ store.Record) bool { return f.restarted }),
			[]string{"Commit/after a restart succeeds", "Commit/repeated after a restart is nil"},
		},
		{
			"Commit does not know its own commit",
			commitRefuses(func(_ *flawed, c *call, r store.Record) bool { return r.Committed == c.a.ID }),
			[]string{
				walkCheck,
				"Commit/repeated after success is nil", "Commit/repeated after a restart is nil",
				"Commit/repeated under the next attempt leaves that open",
			},
		},
		{
			"Commit ignores the revision",
			flaw{method: "Commit", before: func(f *flawed, c *call) {
				c.a.Revision = f.record(c.id).Session.Revision
				c.ses.Revision = c.a.Revision + 1
			}},
			[]string{"Commit/of a revision that moved is ErrMoved without effect", "Commit/repeated after success is nil"},
		},
		{"Commit of a moved revision is nil", turn("Commit", session.ErrMoved, nil), []string{"Commit/of a revision that moved is ErrMoved without effect"}},
		{
			"Commit repeated closes whatever is open",
			flaw{method: "Commit", after: func(f *flawed, c *call) {
				if open := f.record(c.id).Attempt; c.err == nil && open != nil {
					c.err = f.mem.Fail(c.ctx, *open, session.Failure{Class: session.Transient})
				}
			}},
			[]string{"Commit/repeated under the next attempt leaves that open"},
		},
		{
			"Commit counts as a use",
			flaw{method: "Commit", after: func(f *flawed, c *call) {
				c.err = f.mem.Touch(context.Background(), map[session.ID]time.Time{c.id: time.Now().Add(time.Hour)})
			}},
			[]string{"Commit/is no use of the session"},
		},
	}
}
