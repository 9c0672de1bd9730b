package storetest

import (
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func brokenExtend() []broken {
	return []broken{
		{"Extend is always ErrMoved", turn("Extend", nil, session.ErrMoved), []string{"Extend/of the open attempt is nil"}},
		{
			"an attempt dies of age",
			flaw{method: "Begin", after: func(f *flawed, c *call) {
				switch {
				case c.err == nil:
					f.kept.at = time.Now()
				case errors.Is(c.err, session.ErrBusy) && time.Since(f.kept.at) > 5*time.Minute:
					c.err = session.ErrNotYet
				}
			}},
			[]string{"Extend/keeps the owner alive"},
		},
		{"Extend of any attempt is nil", turn("Extend", session.ErrMoved, nil), []string{"Extend/of an old attempt is ErrMoved without effect"}},
		{"Extend of a missing session is ErrMoved", turn("Extend", session.ErrNotFound, session.ErrMoved), []string{"Extend/of a missing session is ErrNotFound"}},
	}
}

// failShows lets Get show a record that a Fail left otherwise.
func failShows(when func(session.Failure) bool, show func(now *store.Record, before store.Record, f session.Failure)) flaw {
	return flaw{method: "Fail", before: func(f *flawed, c *call) {
		if before, failure := f.record(c.id), c.failure; when(failure) {
			f.lie = func(r *store.Record) { show(r, before, failure) }
		}
	}}
}

func notSent(f session.Failure) bool { return !f.Sent }
func refused(f session.Failure) bool { return f.Sent && f.Class != session.Unknown }
func anyHow(session.Failure) bool    { return true }

func brokenFailForms() []broken {
	return []broken{
		{
			"Fail takes not sent for unknown",
			flaw{method: "Fail", before: func(_ *flawed, c *call) {
				c.failure.Sent, c.failure.Class = true, session.Unknown
			}},
			[]string{
				"Fail/not sent leaves doubt and ReplayAt as Begin found them", "Fail/sent and refused drops ReplayAt unless in doubt",
				"Fail/by AttemptID alone gives up a Begin whose reply was lost",
			},
		},
		{
			"Fail not sent ends the doubt",
			failShows(notSent, func(now *store.Record, _ store.Record, _ session.Failure) { now.InDoubt = false }),
			[]string{"Fail/not sent leaves doubt and ReplayAt as Begin found them"},
		},
		{
			"Fail not sent leaves the intent's ReplayAt",
			failShows(notSent, func(now *store.Record, before store.Record, _ session.Failure) { now.ReplayAt = before.ReplayAt }),
			[]string{"Fail/not sent leaves doubt and ReplayAt as Begin found them"},
		},
		{
			"Fail refused ends the doubt",
			failShows(refused, func(now *store.Record, _ store.Record, _ session.Failure) { now.InDoubt = false }),
			[]string{walkCheck, "Fail/sent and refused drops ReplayAt unless in doubt", "Doubt/only Commit and End clear it"},
		},
		{
			"Fail refused leaves ReplayAt",
			failShows(refused, func(now *store.Record, before store.Record, _ session.Failure) { now.ReplayAt = before.ReplayAt }),
			[]string{"Fail/sent and refused drops ReplayAt unless in doubt"},
		},
		{
			"Fail takes unknown for refused",
			flaw{method: "Fail", before: func(_ *flawed, c *call) { c.failure.Class = session.Refused }},
			[]string{"Fail/sent and unknown is in doubt until ReplayAt"},
		},
		{
			"Fail takes no ReplayAt for at once",
			failShows(anyHow, func(now *store.Record, _ store.Record, f session.Failure) { now.ReplayAt = f.ReplayAt }),
			[]string{"Fail/without a ReplayAt keeps the attempt's"},
		},
	}
}

func brokenFail() []broken {
	return []broken{
		{
			"Fail does not count",
			failShows(anyHow, func(now *store.Record, _ store.Record, _ session.Failure) { now.Failures = 0 }),
			[]string{"Fail/counts, remembers the class and sets NotBefore"},
		},
		{
			"Fail does not write NotBefore",
			flaw{method: "Fail", before: func(_ *flawed, c *call) { c.failure.NotBefore = time.Time{} }},
			[]string{
				"Fail/counts, remembers the class and sets NotBefore",
				"Fail/is due again at SweepAt, or in doubt at ReplayAt, but not before NotBefore", "Begin/NotBefore holds back and Force passes it",
			},
		},
		{
			"Fail leaves the due entry where it was",
			flaw{method: "Due", after: func(f *flawed, c *call) {
				for i, e := range c.page {
					c.page[i].DueAt = f.record(e.ID).Session.SweepAt
				}
			}},
			[]string{"Fail/is due again at SweepAt, or in doubt at ReplayAt, but not before NotBefore"},
		},
		{
			"Fail makes due what never is",
			failShows(anyHow, func(now *store.Record, _ store.Record, f session.Failure) { now.DueAt = f.NotBefore }),
			[]string{"Fail/of a session never due leaves it never due"},
		},
		{
			"Fail wants the fence",
			flaw{method: "Fail", before: func(f *flawed, c *call) {
				if r := f.record(c.id); r.Holds(c.a) && r.Fence != c.a.Fence {
					c.answer(session.ErrMoved)
				}
			}},
			[]string{"Fail/by AttemptID alone gives up a Begin whose reply was lost"},
		},
		{
			"Fail closes whatever is open",
			flaw{method: "Fail", before: func(f *flawed, c *call) {
				if open := f.record(c.id).Attempt; open != nil {
					c.a = *open
				}
			}},
			[]string{walkCheck, "Fail/of an old attempt is ErrMoved without effect"},
		},
		{"Fail of any attempt is nil", turn("Fail", session.ErrMoved, nil), []string{"Fail/of an old attempt is ErrMoved without effect"}},
		{"Fail of a missing session is ErrMoved", turn("Fail", session.ErrNotFound, session.ErrMoved), []string{"Fail/of a missing session is ErrNotFound"}},
		{"Fail answers before it is durable", flaw{method: "Fail", before: forget}, []string{"Fail/is durable when it returns"}},
	}
}
