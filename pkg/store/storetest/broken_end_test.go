package storetest

import (
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// endIgnores drops a part of the condition: the part it keeps must hold still.
func endIgnores(only func(store.Cond) store.Cond) flaw {
	return flaw{method: "End", before: func(_ *flawed, c *call) { c.only = only(c.only) }}
}

// endRefuses answers ErrMoved to an End that when holds for.
func endRefuses(when func(*call, store.Record) bool) flaw {
	return flaw{method: "End", before: func(f *flawed, c *call) {
		if r := f.record(c.id); r.Session.Revision != 0 && when(c, r) {
			c.answer(session.ErrMoved)
		}
	}}
}

func brokenEnd() []broken {
	return []broken{
		{
			"End returns the first session",
			flaw{method: "End", after: func(_ *flawed, c *call) { c.last.Revision = min(c.last.Revision, 1) }},
			[]string{"End/returns the last session, its tokens to be revoked"},
		},
		{
			"End returns nothing",
			flaw{method: "End", after: func(_ *flawed, c *call) { c.last = session.Session{} }},
			[]string{"End/returns the last session, its tokens to be revoked", "End/unconditional takes an open attempt and a doubt with it"},
		},
		{
			"End waits for an open attempt",
			endRefuses(func(c *call, r store.Record) bool { return c.only == store.Cond{} && r.Attempt != nil }),
			[]string{"End/unconditional takes an open attempt and a doubt with it"},
		},
		{
			"End twice is ErrEnded",
			flaw{method: "End", after: func(_ *flawed, c *call) {
				if c.err == nil && c.last.Revision == 0 {
					c.err = &session.EndedError{Reason: c.why}
				}
			}},
			[]string{"End/twice is nil with a zero Session, and the first reason stays"},
		},
		{
			"End twice writes the second reason",
			flaw{after: func(f *flawed, c *call) {
				if e, ok := errors.AsType[*session.EndedError](c.err); ok && f.kept.why != "" {
					c.err = &session.EndedError{Reason: f.kept.why, At: e.At}
				}
				if c.method == "End" {
					f.kept.why = c.why
				}
			}},
			[]string{"End/twice is nil with a zero Session, and the first reason stays"},
		},
		{
			"End twice looks at the condition",
			flaw{method: "End", before: func(f *flawed, c *call) {
				if c.only != (store.Cond{}) && f.record(c.id).Session.Revision == 0 {
					c.answer(session.ErrMoved)
				}
			}},
			[]string{"End/twice is nil with a zero Session, and the first reason stays"},
		},
	}
}

func brokenEndAll() []broken {
	return []broken{
		{"End of a missing session is nil", turn("End", session.ErrNotFound, nil), []string{"End/of a missing session is ErrNotFound"}},
		{"End answers before it is durable", flaw{method: "End", before: forget}, []string{"End/is durable when it returns", "Crash/after End stays ended"}},
		{
			"End leaves the due entry",
			flaw{after: func(f *flawed, c *call) {
				switch c.method {
				case "Create":
					f.kept.ses = c.ses
				case "Due":
					c.page = append(c.page, entry(f.kept.ses))
				}
			}},
			[]string{"End/takes due, used and subject entries with it", "End/is durable when it returns"},
		},
		{
			"End leaves the subject entries",
			flaw{after: func(f *flawed, c *call) {
				switch c.method {
				case "Create":
					f.kept.ids = append(f.kept.ids, c.id)
				case "Find":
					c.ids = f.kept.ids
				}
			}},
			[]string{"End/takes due, used and subject entries with it", "Find/ended sessions are gone", "Find/verifies every hit on the record"},
		},
	}
}

func brokenTombstone() []broken {
	after := func(method string) flaw {
		return turn(method, session.ErrEnded, session.ErrMoved)
	}
	ended := []string{"End/then Get, Begin, Extend, Commit and Fail are ErrEnded with reason and time"}
	return []broken{
		{"Get of a tombstone is ErrMoved", after("Get"), ended},
		{"Begin of a tombstone is ErrMoved", after("Begin"), ended},
		{"Extend of a tombstone is ErrMoved", after("Extend"), ended},
		{"Commit of a tombstone is ErrMoved", after("Commit"), ended},
		{"Fail of a tombstone is ErrMoved", after("Fail"), ended},
		{
			"a tombstone tells the time of the question",
			flaw{after: func(_ *flawed, c *call) {
				if e, ok := errors.AsType[*session.EndedError](c.err); ok {
					c.err = &session.EndedError{Reason: e.Reason, At: time.Now()}
				}
			}},
			ended,
		},
		{
			"Reap deletes every tombstone",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.at = c.at.Add(24 * time.Hour) }},
			[]string{"End/leaves a tombstone until the absolute end", "Reap/deletes tombstones past their end, and no others"},
		},
		{
			"Reap deletes no tombstone",
			flaw{method: "Reap", before: func(_ *flawed, c *call) { c.at = c.at.Add(-24 * time.Hour) }},
			[]string{"End/leaves a tombstone until the absolute end", "Reap/deletes tombstones past their end, and no others"},
		},
	}
}

func brokenEndIf() []broken {
	return []broken{
		{
			"End never finds its attempt open",
			endRefuses(func(c *call, _ store.Record) bool { return c.only.Attempt != nil }),
			[]string{"End/if an attempt is open, and it is"},
		},
		{
			"End takes any attempt for its own",
			endIgnores(func(o store.Cond) store.Cond { o.Attempt = nil; return o }),
			[]string{walkCheck, "End/if an attempt is open, and it is not"},
		},
		{
			"End knows no revision and fence",
			endRefuses(func(c *call, _ store.Record) bool { return c.only.Revision != 0 }),
			[]string{"End/if revision and fence stand and nothing is open, and so it is"},
		},
		{
			"End ignores revision and fence",
			endIgnores(func(o store.Cond) store.Cond { o.Revision, o.Fence = 0, 0; return o }),
			[]string{"End/if revision and fence stand and nothing is open, and it is not so"},
		},
		{
			"End ignores the fence",
			flaw{method: "End", before: func(f *flawed, c *call) { c.only.Fence = f.record(c.id).Fence }},
			[]string{walkCheck, "End/if revision and fence stand and nothing is open, and it is not so"},
		},
		{
			"End ignores what is open",
			flaw{method: "End", before: func(f *flawed, c *call) {
				if r := f.record(c.id); c.only.Revision == r.Session.Revision && c.only.Fence == r.Fence {
					c.only = store.Cond{}
				}
			}},
			[]string{"End/if revision and fence stand and nothing is open, and it is not so"},
		},
		{
			"End takes a use at the very time for a later one",
			flaw{method: "End", before: func(_ *flawed, c *call) {
				if !c.only.UnusedSince.IsZero() {
					c.only.UnusedSince = c.only.UnusedSince.Add(-1)
				}
			}},
			[]string{"End/if not used since, and it was not"},
		},
		{
			"End ignores uses",
			endIgnores(func(o store.Cond) store.Cond { o.UnusedSince = time.Time{}; return o }),
			[]string{"End/if not used since, and it was"},
		},
	}
}
