package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// unpark brings sessions back after method as nothing but Touch and Commit may.
func unpark(method string) flaw {
	return flaw{method: method, after: func(f *flawed, c *call) {
		used := f.record(c.id).Used
		_ = f.mem.Touch(context.Background(), map[session.ID]time.Time{c.id: used.Add(1)})
	}}
}

func brokenDue() []broken {
	return []broken{
		{
			"Due lists in any order",
			flaw{method: "Due", after: func(_ *flawed, c *call) { slices.Reverse(c.page) }},
			[]string{"Due/lists what is due, earliest first"},
		},
		{
			"Due keeps the order of the plans",
			flaw{method: "Due", after: func(f *flawed, c *call) {
				slices.SortFunc(c.page, func(a, b store.DueEntry) int {
					return f.record(a.ID).Session.SweepAt.Compare(f.record(b.ID).Session.SweepAt)
				})
			}},
			[]string{"Due/what moves takes its new place in the order", "Due/is there again after a restart"},
		},
		{
			"Due lists what is due in a minute",
			flaw{method: "Due", before: func(_ *flawed, c *call) { c.at = c.at.Add(time.Minute) }},
			[]string{"Due/follows Begin, Fail and Commit", "Due/what was not used since leaves and comes back by Touch"},
		},
		{
			"Due forgets what remains beyond the limit",
			flaw{method: "Due", after: func(_ *flawed, c *call) {
				if !c.next.After(c.at) {
					c.next = time.Time{}
				}
			}},
			[]string{"Due/next is the earliest due time that remains", "Due/what leaves takes no place on the page"},
		},
		{
			"Due knows no limit",
			flaw{method: "Due", before: func(_ *flawed, c *call) { c.limit = 1000 }},
			[]string{"Due/next is the earliest due time that remains"},
		},
	}
}

func brokenDuePage() []broken {
	return []broken{
		{
			"Due hands out its own page",
			flaw{method: "Due", after: func(f *flawed, c *call) {
				if f.kept.page == nil {
					f.kept.page = c.page
				}
				c.page = f.kept.page
			}},
			[]string{"Due/a page is a copy, and asking changes nothing"},
		},
		{
			"Due takes its answer out of the index",
			flaw{method: "Due", after: func(f *flawed, c *call) {
				for _, e := range c.page {
					_, _ = f.mem.End(c.ctx, e.ID, session.ReasonIdle, store.Cond{})
				}
			}},
			[]string{"Due/a page is a copy, and asking changes nothing"},
		},
		{
			"Due lists at once what is never due",
			flaw{method: "Create", before: func(_ *flawed, c *call) {
				if c.ses.SweepAt.IsZero() {
					c.ses.SweepAt = c.ses.CreatedAt
				}
			}},
			[]string{"Due/a session without SweepAt is never due"},
		},
		{
			"Due tells the revision of the login",
			flaw{method: "Due", after: func(_ *flawed, c *call) {
				for i := range c.page {
					c.page[i].Revision = 1
				}
			}},
			[]string{
				"Due/follows Begin, Fail and Commit", "Due/what was not used since leaves and comes back by Commit",
				"Due/what has expired leaves and comes back by Commit",
			},
		},
	}
}

func brokenParking() []broken {
	return []broken{
		{
			"Due does not park",
			flaw{method: "Due", before: func(_ *flawed, c *call) { c.since = time.Time{} }},
			[]string{
				"Due/what was not used since leaves and comes back by Touch", "Due/what was not used since leaves and comes back by Commit",
				"Due/what leaves takes no place on the page",
			},
		},
		{"Touch brings nothing back", flaw{method: "Touch", before: func(_ *flawed, c *call) { c.answer(nil) }}, []string{"Due/what was not used since leaves and comes back by Touch"}},
		{"Begin brings back", unpark("Begin"), []string{"Due/what left stays away over Begin and Fail"}},
		{"Fail brings back", unpark("Fail"), []string{"Due/what left stays away over Begin and Fail"}},
		{
			"Due lists what has expired",
			flaw{method: "Due", before: func(_ *flawed, c *call) { c.at = c.at.Add(-time.Nanosecond) }},
			[]string{"Due/what has expired leaves and comes back by Commit", "Due/what was retried in time stays, expired or not"},
		},
		{
			"Due leaves out what is retried past expiry",
			flaw{method: "Due", after: func(_ *flawed, c *call) {
				c.page = slices.DeleteFunc(c.page, func(e store.DueEntry) bool { return !c.at.Before(e.Exp) })
			}},
			[]string{"Due/what was retried in time stays, expired or not"},
		},
		{
			"Due lists nothing after a restart",
			flaw{method: "Due", after: func(f *flawed, c *call) {
				if f.restarted {
					c.page = nil
				}
			}},
			[]string{"Due/is there again after a restart"},
		},
	}
}

func brokenTouch() []broken {
	return []broken{
		{
			"Touch writes the last word",
			flaw{method: "Touch", after: func(f *flawed, c *call) {
				used := c.used
				f.lie = func(r *store.Record) {
					if at, ok := used[r.Session.ID]; ok {
						r.Used = at
					}
				}
			}},
			[]string{"Touch/merges by max", "Touch/survives a restart"},
		},
		{
			"Touch stops at an unknown session",
			flaw{method: "Touch", before: func(f *flawed, c *call) {
				for id := range c.used {
					if _, err := f.mem.Get(c.ctx, id); err != nil {
						c.answer(err)
					}
				}
			}},
			[]string{"Touch/passes over unknown and ended sessions"},
		},
		{"Touch is forgotten by a restart", flaw{method: "Touch", before: forget}, []string{"Touch/survives a restart"}},
	}
}

// findAs makes Find look for something else as well.
func findAs(other func(session.SubjectKey) session.SubjectKey) flaw {
	return flaw{method: "Find", after: func(f *flawed, c *call) {
		more, _ := f.mem.Find(c.ctx, other(c.key))
		for _, id := range more {
			if !slices.Contains(c.ids, id) {
				c.ids = append(c.ids, id)
			}
		}
	}}
}

func brokenFind() []broken {
	verifies := []string{"Find/verifies every hit on the record"}
	return []broken{
		{
			"Find stops at the first",
			flaw{method: "Find", after: func(_ *flawed, c *call) { c.ids = c.ids[:min(1, len(c.ids))] }},
			[]string{"Find/a user's sessions by sub", "Find/an OP session's sessions by sid", "Find/survives a restart"},
		},
		{"Find looks into every application", findAs(func(k session.SubjectKey) session.SubjectKey { k.App = "app"; return k }), verifies},
		{"Find looks at every OP", findAs(func(k session.SubjectKey) session.SubjectKey { k.Provider = "https://op"; return k }), verifies},
		{"Find takes a sid for a sub", findAs(func(k session.SubjectKey) session.SubjectKey { k.Sub, k.SID = k.SID, k.Sub; return k }), verifies},
		{
			"Find keeps the index of the login",
			flaw{after: func(f *flawed, c *call) {
				switch {
				case c.method == "Create":
					f.kept.ses = c.ses
				case c.method == "Find" && f.record(f.kept.ses.ID).Session.Revision > 1:
					if c.ids = nil; c.key == subjectOf(f.kept.ses) || c.key == opSessionOf(f.kept.ses) {
						c.ids = []session.ID{f.kept.ses.ID}
					}
				}
			}},
			[]string{"Find/follows a Commit that changes sub or sid"},
		},
	}
}

func brokenReap() []broken {
	return []broken{
		{
			"Reap does not look at uses",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.since = time.Time{} }},
			[]string{"Reap/lists idle sessions"},
		},
		{
			"Reap lists what is in use",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.since = c.since.Add(10 * time.Minute) }},
			[]string{"Reap/lists idle sessions"},
		},
		{
			"Reap does not look at the absolute end",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.at = time.Time{} }},
			[]string{"Reap/lists sessions past their absolute end"},
		},
		{
			"Reap knows no limit",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.limit = 1000 }},
			[]string{"Reap/lists at most limit"},
		},
		{
			"Reap ends what it lists",
			flaw{method: "Reap", after: func(f *flawed, c *call) {
				for _, id := range c.ids {
					_, err := f.mem.End(c.ctx, id, session.ReasonIdle, store.Cond{})
					c.err = errors.Join(c.err, err)
				}
			}},
			[]string{"Reap/ends nothing"},
		},
	}
}
