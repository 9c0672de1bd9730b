package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// retold makes Get tell another history, of live sessions and of ended ones.
func retold(live, ended func(*flawed, []session.Outcome) []session.Outcome) flaw {
	return flaw{method: "Get", after: func(f *flawed, c *call) {
		if e, ok := errors.AsType[*session.EndedError](c.err); ok && ended != nil {
			c.err = &session.EndedError{Reason: e.Reason, At: e.At, History: ended(f, e.History)}
		}
		if c.err == nil && live != nil {
			c.r.History = live(f, c.r.History)
		}
	}}
}

func brokenHistory() []broken {
	const tells, ends, verdict = "History/tells every outcome, oldest first, and none of what was given up",
		"History/goes with the tombstone", "History/ends with the verdict that ended the session"
	type past = []session.Outcome
	return []broken{
		{"the history is told newest first", retold(func(_ *flawed, h past) past { slices.Reverse(h); return h }, nil), []string{tells}},
		{"the history tells successes only", retold(func(_ *flawed, h past) past {
			return slices.DeleteFunc(h, func(o session.Outcome) bool { return o.Class != session.Renewed })
		}, nil), []string{tells}},
		{"the history tells what was given up", flaw{method: "Fail", before: func(_ *flawed, c *call) {
			c.failure.Class = max(c.failure.Class, session.Transient)
		}}, []string{tells}},
		{"the history is half as long", retold(func(_ *flawed, h past) past { return h[max(0, len(h)-session.HistoryLen/2):] }, nil),
			[]string{"History/keeps the newest"}},
		{"the history is lost by a restart", retold(func(f *flawed, h past) past {
			if f.restarted {
				return nil
			}
			return h
		}, nil), []string{"History/survives a restart"}},
		{"the history ends with the session", retold(nil, func(*flawed, past) past { return nil }), []string{ends, verdict}},
		{"the history leaves the verdict out", retold(nil, func(_ *flawed, h past) past { return h[:max(0, len(h)-1)] }), []string{verdict}},
		{"a tombstone's history is lost by a restart", retold(nil, func(f *flawed, h past) past {
			if f.restarted {
				return nil
			}
			return h
		}), []string{ends}},
		{"the history is shared with readers", retold(func(f *flawed, h past) past {
			if f.kept.r.History == nil {
				f.kept.r.History = h
			}
			return f.kept.r.History
		}, nil), []string{"History/is the reader's own"}},
	}
}

func brokenLookup() []broken {
	const finds, restart = "Lookup/by the whole ID and by its beginning, live or ended", "Lookup/survives a restart"
	ended := func(f *flawed, id session.ID) bool {
		_, err := f.mem.Get(context.Background(), id)
		return errors.Is(err, session.ErrEnded)
	}
	return []broken{
		{"Lookup finds nothing by a beginning", flaw{method: "Lookup", after: func(_ *flawed, c *call) {
			if len(c.prefix) < len(session.ID{}) {
				c.ids = nil
			}
		}}, []string{finds, restart}},
		{"Lookup does not know the ended", flaw{method: "Lookup", after: func(f *flawed, c *call) {
			c.ids = slices.DeleteFunc(c.ids, func(id session.ID) bool { return ended(f, id) })
		}}, []string{finds, restart}},
		{"Lookup knows no limit", flaw{method: "Lookup", before: func(_ *flawed, c *call) { c.limit = 100 }}, []string{"Lookup/at most limit"}},
		{"Lookup is empty after a restart", flaw{method: "Lookup", after: func(f *flawed, c *call) {
			if f.restarted {
				c.ids = nil
			}
		}}, []string{restart}},
	}
}
